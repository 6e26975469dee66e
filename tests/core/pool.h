// SPDX-License-Identifier: MIT
//
// A frame allocator with its storage.
#pragma once

#include <vector>

#include "core/frames.h"

namespace morsel::test {

using namespace morsel::core;

inline constexpr u64 area_frames = pages_per_entry(Level::pmd);

template <class Allocator = FrameAllocator>
struct Pool {
  explicit Pool(u64 frames, unsigned slots = 2, u64 dirt = ~0UL)
      : storage(Allocator::storage_bytes(frames, slots) / sizeof(u64), dirt) {
    allocator.init(storage.data(), frames, slots);
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  std::vector<u64> storage;
  Allocator allocator;
};

}  // namespace morsel::test
