// SPDX-License-Identifier: MIT
// How long operations on files take.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace morsel::bench {

struct RatesOptions {
  std::string directory;
  unsigned times = 1000;  ///< each operation; a tenth and at least 8 of those on 1 MiB
};

/// "dax": whether files are mapped without the page cache; and "operations", for each {"times",
/// "ns", "ticks"}: of all of them together. Ticks are those of the CPU's counter: with QEMU's
/// -icount, the guest's instructions. What they need is made before, and gone afterwards.
///   create, rename, unlink             of empty files in one directory
///   write-4k, write-1m                 over what is there
///   append-4k, append-1m               to a new file
///   fsync                              after a write of 4 KiB, which is not counted
///   create+fsync, append-4k+fsync, rename+fsync, unlink+fsync
///                                      until it is durable everywhere (of names: the directory's
///                                      fsync)
/// Throws.
nlohmann::ordered_json measure_rates(const RatesOptions& options);

}  // namespace morsel::bench
