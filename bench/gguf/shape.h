// SPDX-License-Identifier: MIT
// The dimensions of a llama-architecture model, and the two that the demo uses.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace morsel::bench {

struct Shape {
  std::string_view name;
  uint32_t embedding;
  uint32_t blocks;
  uint32_t feed_forward;
  uint32_t heads;
  uint32_t context;
  uint32_t vocabulary;
  uint64_t file_bytes;  ///< the metadata is padded up to this size; 0: whatever comes out
};

/// LLaMA 7B, feed-forward and vocabulary padded so that it is as large as the model of the slides:
/// 6.82 GiB in Q8_0.
inline constexpr Shape shape_7b{
    .name = "7b",
    .embedding = 4096,
    .blocks = 32,
    .feed_forward = 11264,
    .heads = 32,
    .context = 4096,
    .vocabulary = 38400,
    .file_bytes = 7'323'916'608,
};

/// Small enough to generate from in an emulator: 137 MiB, no multiple of 2 MiB.
inline constexpr Shape shape_small{
    .name = "small",
    .embedding = 768,
    .blocks = 12,
    .feed_forward = 2048,
    .heads = 12,
    .context = 1024,
    .vocabulary = 32000,
    .file_bytes = 0,
};

constexpr std::optional<Shape> shape_by_name(std::string_view name) {
  if (name == shape_7b.name) return shape_7b;
  if (name == shape_small.name) return shape_small;
  return std::nullopt;
}

}  // namespace morsel::bench
