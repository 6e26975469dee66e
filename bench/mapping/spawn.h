// SPDX-License-Identifier: MIT
// Fresh processes.
#pragma once

#include <string>
#include <vector>

namespace morsel::bench {

/// Runs a program found in PATH and returns its exit status, 128 + N after signal N.
int run_program(const std::vector<std::string>& arguments);

/// The same, and returns what it wrote to stdout. Throws std::runtime_error when it ends otherwise
/// than with status 0.
std::string output_of(const std::vector<std::string>& arguments);

}  // namespace morsel::bench
