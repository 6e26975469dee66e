// SPDX-License-Identifier: MIT
// One row of the table: a system and a file.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "system.h"

namespace morsel::bench {

struct RowOptions {
  System system{};
  std::string file;
  std::string source;        ///< what to copy to `file` first; empty: it is there, and stays
  uint64_t bytes = 0;        ///< 0: as large as the source, or else the file
  std::string warm;          ///< file of the same system that is mapped before the first sample
  bool warm_inside = false;  ///< and once more in each sample's process
  unsigned samples = 7;
  /// How often the file is written afresh and mapped for the first time, at most: a large file
  /// is written more than once only if its first mapping took much longer than the others.
  unsigned firsts = 1;
  std::string checksum;  ///< that the bytes must have; empty: not compared
  /// What is run for `sample` and `inspect`: this very program, another one that takes the same
  /// arguments, or one of them behind a launcher.
  std::vector<std::string> program{"/proc/self/exe"};
};

/// Runs all processes of the row. Throws std::runtime_error.
nlohmann::ordered_json measure_row(RowOptions options);

}  // namespace morsel::bench
