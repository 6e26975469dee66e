// SPDX-License-Identifier: MIT
// Text for people: sizes, times, names that may hold anything.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace morsel::tool {

/// 7323916608 as "6.82 GiB".
std::string size_text(uint64_t bytes);
/// Seconds as "3 s", "2 min", "5 h", "3 d".
std::string duration_text(uint64_t seconds);
/// The text with what a terminal would obey or not show as \n, \x1b and the like.
std::string printable(const std::string& text);
/// Rows as columns of equal width; the first row is the head.
std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace morsel::tool
