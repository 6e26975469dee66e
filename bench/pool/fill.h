// SPDX-License-Identifier: MIT
// Objects that are there when something is measured.
#pragma once

#include <cstdint>
#include <string>

namespace morsel::bench {

/// The name of one of the files that fill() makes.
std::string file_name(const std::string& directory, unsigned number);

/// Writes `files` files of `bytes` bytes each, and syncs them. Throws.
void fill(const std::string& directory, unsigned files, uint64_t bytes);

}  // namespace morsel::bench
