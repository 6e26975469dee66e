// SPDX-License-Identifier: MIT
// Processes that map the same object: one after the other, and all at once.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace morsel::bench {

struct LifeOptions {
  std::string system, file;
  uint64_t bytes = 0;
  unsigned processes = 1;
};

/// One row, times in microseconds:
///   ready_us        from open to ready, one process after the other: the median
///   last_ready_us   the last of them
///   together_us     all of them at once: until the last one is ready
///   fork_us         of a process that is ready: its fork()
///   exit_us         from when a process that is ready is told to end until it has: the median
///   table_bytes     of page tables that the machine has more when all are ready, over their number
/// Throws.
nlohmann::ordered_json measure_life(const LifeOptions& options);

}  // namespace morsel::bench
