// SPDX-License-Identifier: MIT
//
// A range of addresses.
#pragma once

#include <algorithm>
#include <cstdint>

namespace morsel::preload {

inline constexpr uintptr_t page = 4096;
inline constexpr uintptr_t huge_page = uintptr_t{2} << 20;
inline constexpr uintptr_t gib = uintptr_t{1} << 30;

constexpr uintptr_t round_down(uintptr_t value, uintptr_t unit) { return value & ~(unit - 1); }
constexpr uintptr_t round_up(uintptr_t value, uintptr_t unit) {
  return round_down(value + unit - 1, unit);
}

struct Range {
  uintptr_t begin = 0;
  uintptr_t end = 0;

  /// The pages of `length` bytes at `address`; empty if there are none or they wrap around.
  static Range of(const void* address, size_t length) {
    const auto begin = reinterpret_cast<uintptr_t>(address);
    if (length > UINTPTR_MAX - page - begin) return {};
    return {round_down(begin, page), length ? round_up(begin + length, page) : begin};
  }

  [[nodiscard]] bool empty() const { return begin >= end; }
  [[nodiscard]] size_t size() const { return end - begin; }
  [[nodiscard]] bool overlaps(Range other) const { return begin < other.end && other.begin < end; }
  [[nodiscard]] bool covers(Range other) const { return begin <= other.begin && other.end <= end; }
  [[nodiscard]] Range operator&(Range other) const {
    return {std::max(begin, other.begin), std::min(end, other.end)};
  }
};

}  // namespace morsel::preload
