// SPDX-License-Identifier: MIT
//
// How far explorations go, and how large they were.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

namespace morsel::test {

inline constexpr unsigned all_outdated_loads = ~0U;

/// How many outdated values each thread may read: `usual`, or as MORSELS_EXPLORE says, a number or
/// `all`. Then the exploration is exhaustive.
inline unsigned outdated_loads(unsigned usual = 1) {
  const char* wish = std::getenv("MORSELS_EXPLORE");
  if (wish == nullptr) return usual;
  return std::string_view(wish) == "all" ? all_outdated_loads
                                         : unsigned(std::strtoul(wish, nullptr, 10));
}

struct Size {
  size_t states, ends;
};

/// For GoogleTest's report, and to be seen.
inline void record(const Size& size) {
  testing::Test::RecordProperty("states", std::to_string(size.states));
  testing::Test::RecordProperty("ends", std::to_string(size.ends));
  std::cout << size.states << " states, " << size.ends << " of them ends\n";
}

}  // namespace morsel::test
