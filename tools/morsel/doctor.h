// SPDX-License-Identifier: MIT
// What this machine can do, looked at piece by piece.
#pragma once

#include <string>
#include <vector>

namespace morsel::tool {

struct Check {
  enum class Level { ok, warn, missing };
  Level level;
  std::string name;  /// stable, for --json
  std::string text;
  std::string mend;  /// a command; "" if there is nothing to mend, or no command does
};
using Checks = std::vector<Check>;

/// "ok", "warn", "missing".
const char* word_for(Check::Level level);

void check_kernel(Checks& checks);  /// kernel, module, mounts
void check_memory(Checks& checks);  /// memory, its huge pages, its limits
void check_cache(Checks& checks);   /// rights, holder, what dead processes left

/// The first line of a file, without the newline; "" if it can't be read.
std::string line_of(const std::string& path);

// --- morselfs, for setup too -------------------------------------------------------------------

bool is_module_loaded();
/// It is among the modules of the running kernel.
bool is_module_installed();

// --- 2-MiB pages --------------------------------------------------------------------------------

inline const std::string huge_pages_directory = "/sys/kernel/mm/hugepages/hugepages-2048kB/";
/// So many 2-MiB pages may there be for half of this machine's memory.
unsigned long sensible_huge_pages();

}  // namespace morsel::tool
