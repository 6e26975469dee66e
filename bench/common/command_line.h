// SPDX-License-Identifier: MIT
// What the main() of every program here does.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace morsel::bench {

/// Exits with CLI11's message and status when the words are wrong, or ask for help.
inline void parse_or_exit(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
}

/// The exit status of a program that does `work`, which returns it: what that throws is said on
/// stderr, and 1.
template <typename Work>
int exit_status_of(const char* program, Work&& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
  } catch (...) {
    std::fprintf(stderr, "%s: unknown error\n", program);
  }
  return 1;
}

}  // namespace morsel::bench
