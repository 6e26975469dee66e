// SPDX-License-Identifier: MIT
//
// The parts of a mapping that the program has not unmapped yet.
#pragma once

#include <array>
#include <span>

#include "range.h"

namespace morsel::preload {

class Kept {
 public:
  void assign(Range all) {
    parts_[0] = all;
    count_ = 1;
  }

  /// False, and nothing changed: there would be too many parts.
  [[nodiscard]] bool remove(Range gone) {
    std::array<Range, most> left;
    size_t count = 0;
    for (const Range part : parts()) {
      for (const Range rest : {Range{part.begin, std::min(part.end, gone.begin)},
                               Range{std::max(part.begin, gone.end), part.end}}) {
        if (rest.empty()) continue;
        if (count == most) return false;
        left[count++] = rest;
      }
    }
    parts_ = left;
    count_ = count;
    return true;
  }

  [[nodiscard]] bool empty() const { return count_ == 0; }
  /// Neighbours are never two parts, so what is covered lies in one.
  [[nodiscard]] bool covers(Range range) const {
    return std::ranges::any_of(parts(), [&](Range part) { return part.covers(range); });
  }
  [[nodiscard]] bool overlaps(Range range) const {
    return std::ranges::any_of(parts(), [&](Range part) { return part.overlaps(range); });
  }
  /// In ascending order.
  [[nodiscard]] std::span<const Range> parts() const { return {parts_.data(), count_}; }
  /// From the first to the last; not for nothing.
  [[nodiscard]] Range hull() const { return {parts_[0].begin, parts_[count_ - 1].end}; }

 private:
  static constexpr size_t most = 16;
  std::array<Range, most> parts_{};
  size_t count_ = 0;
};

}  // namespace morsel::preload
