// SPDX-License-Identifier: MIT
// The systems that are compared, and how each of them gets a mapping ready.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace morsel::bench {

struct System {
  std::string_view name;
  bool morsel;    ///< page tables come with the file: only pages that no graft covers are read
  bool slots;     ///< mapped in whole slots, as the library does, not by a plain mmap
  bool huge_tlb;  ///< sizes are multiples of 2 MiB, and write(2) does not work
  bool touched;   ///< false for the floor: a mapping that is never made ready
};

inline constexpr std::array systems{
    System{"ext4", false, false, false, true},
    System{"tmpfs-4k", false, false, false, true},
    System{"tmpfs-huge", false, false, false, true},
    System{"hugetlb", false, false, true, true},
    System{"untouched", false, false, false, false},
    System{"morsel-4k", true, false, false, true},
    System{"morsel-2m", true, false, false, true},
    System{"morsel-4k-slot", true, true, false, true},
    System{"morsel-2m-slot", true, true, false, true},
};

constexpr std::optional<System> system_by_name(std::string_view name) {
  for (const System& system : systems)
    if (system.name == name) return system;
  return std::nullopt;
}

}  // namespace morsel::bench
