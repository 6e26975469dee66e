// SPDX-License-Identifier: MIT
// Copies of the files that a program's arguments name, open when it starts: it need not look for
// them, and they stay in the cache until it ends.
#pragma once

#include <string>
#include <vector>

namespace morsel::tool {

/// Opens them for the program that this process becomes: FILE, --option=FILE, and all parts of a
/// model of which one is named. What preload/opened.cc reads of them; "" if there are none.
std::string open_named_copies(const std::vector<std::string>& program);

}  // namespace morsel::tool
