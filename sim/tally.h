// SPDX-License-Identifier: MIT
//
// What all processes of a run have counted together, and which images have been seen.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <new>

#include "core.h"

namespace morsel::sim {

struct Tally {
  static constexpr u64 slots = 1UL << 25;

  std::atomic<u64> next_item{0};
  std::atomic<u64> operations{0};   ///< that were cut short everywhere
  std::atomic<u64> refused{0};      ///< operations for which there was no space
  std::atomic<u64> checks{0};       ///< of images, the same one in another place included
  std::atomic<u64> states{0};       ///< distinct images
  std::atomic<u64> full_mounts{0};  ///< images that were mounted, cut short again and gone on with
  std::atomic<bool> failed{false};
  using Text = char[16384];
  Text failure = {};
  Text where[64] = {};  ///< what each process is at
  std::atomic<u64> table[slots] = {};

  /// In memory that forked processes share.
  static Tally* make() {
    void* memory = mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    return static_cast<Tally*>(memory);  // zeros are what it begins with
  }
  void free() { munmap(this, sizeof(Tally)); }

  void count_image(u64 hash) {
    checks++;
    if (hash == 0) hash = 1;
    for (u64 slot = hash % slots, tries = 0; tries < slots; slot = (slot + 1) % slots, tries++) {
      u64 seen = table[slot].load(std::memory_order_relaxed);
      if (seen == hash) return;
      if (seen == 0 && table[slot].compare_exchange_strong(seen, hash)) {
        states++;
        return;
      }
      if (seen == hash) return;
    }
  }
};

}  // namespace morsel::sim
