// SPDX-License-Identifier: MIT
// What the whole machine's memory is used for, and how to take it apart.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace morsel::bench {

/// In bytes; when what can be dropped was dropped and the kernel has come to rest.
struct MemoryUse {
  uint64_t free = 0;       ///< in the zones and in the CPUs' lists
  uint64_t available = 0;  ///< MemAvailable
  uint64_t slab = 0;
  uint64_t tables = 0;  ///< PageTables
  uint64_t group = 0;   ///< memory.current of the cgroup, if there is one
};
MemoryUse memory_use(const std::string& cgroup);

/// What the one has more of than the other, by name: "taken" is free memory that is gone.
nlohmann::ordered_json difference(const MemoryUse& before, const MemoryUse& after);

/// This process moves into a new cgroup with this name; its directory.
std::string enter_cgroup(const std::string& name);

/// Takes all memory but so many bytes in anonymous pages of 4 KiB, and gives back 63 of each 64:
/// what other processes leave behind that use and free pages here and there. The kernel can move
/// these pages out of the way if it is asked to. They are this process's until it ends.
void fragment_memory(uint64_t leave);

/// Free pieces of memory of 2 MiB and more, in pieces of 2 MiB.
uint64_t free_large_pieces();

}  // namespace morsel::bench
