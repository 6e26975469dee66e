// SPDX-License-Identifier: MIT
// What somebody who reads an object sees of its being moved.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace morsel::bench {

struct ReaderOptions {
  std::string file;
  double seconds = 5;
  /// Meanwhile another process makes all slots small, so that their contents have to be copied, and
  /// promotes them, again and again.
  bool moved = false;
};

/// One process that reads random words of a mapping; only what it reads while nothing is moved, or
/// while slots are promoted, counts: {"reads", "reads_per_s", "p50_ns", "p99_ns", "p99.9_ns",
/// "p99.99_ns", "max_ns", "moved_bytes"}. The clock is read around every word, which is in the
/// figures.
nlohmann::ordered_json measure_reader(const ReaderOptions& options);

}  // namespace morsel::bench
