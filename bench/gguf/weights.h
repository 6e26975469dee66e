// SPDX-License-Identifier: MIT
// Random weights: the same bytes for the same seed, whatever the number of threads.
#pragma once

#include <cstdint>
#include <span>

#include "layout.h"

namespace morsel::bench {

/// Tensors are made and written in chunks of this size at most: whole Q8_0 blocks, whole words.
inline constexpr uint64_t chunk_bytes = gguf::q8_0_bytes * (uint64_t{1} << 17);

/// Fills `out` with chunk number `chunk` of a tensor. `out` starts at a multiple of 8 bytes and
/// is a multiple of 4 bytes long.
void fill_chunk(const TensorPlan& tensor, uint64_t seed, uint64_t chunk,
                std::span<unsigned char> out);

}  // namespace morsel::bench
