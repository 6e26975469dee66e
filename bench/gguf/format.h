// SPDX-License-Identifier: MIT
// What of the GGUF format is needed here: numbers of the value and tensor types, version 3.
#pragma once

#include <cstdint>
#include <string_view>

namespace morsel::bench::gguf {

inline constexpr std::string_view magic = "GGUF";
inline constexpr uint32_t version = 3;
inline constexpr uint32_t alignment = 32;

enum class Value : uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

enum class Tensor : uint32_t { f32 = 0, q8_0 = 8 };

/// `general.file_type` of a file whose matrices are Q8_0.
inline constexpr uint32_t file_type_q8_0 = 7;

/// Q8_0: blocks of 32 weights, a half-precision scale before 32 signed bytes.
inline constexpr uint64_t q8_0_weights = 32;
inline constexpr uint64_t q8_0_bytes = 34;

constexpr uint64_t align(uint64_t offset) {
  return (offset + alignment - 1) / alignment * alignment;
}

}  // namespace morsel::bench::gguf
