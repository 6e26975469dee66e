// SPDX-License-Identifier: MIT
// What the stages do with a packet: the first writes its words, the middle one changes them, the
// last one compares each with what it must be. All of them, or one of each page, or (sparse) of
// each 64 KiB.
#pragma once

#include <string>

#include "way.h"

namespace morsel::bench {

class Work {
 public:
  /// `name`: full, pages, sparse.
  explicit Work(const std::string& name)
      : step_(name == "sparse"  ? 64 << 10
              : name == "pages" ? 4 << 10
                                : 8) {}

  void fill(Bytes packet, uint64_t seed) const;
  /// Twice in place is as if nothing had been done.
  void change(Bytes from, Bytes to) const;
  /// Whether it was filled with that seed and changed.
  [[nodiscard]] bool is_right(Bytes packet, uint64_t seed) const;

 private:
  uint64_t step_;  // bytes
};

}  // namespace morsel::bench
