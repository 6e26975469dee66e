// SPDX-License-Identifier: MIT
// The systems that are compared, and how each of them gets a mapping ready.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace morsel::bench {

enum class Ready {
  never,      ///< the floor: a mapping that is not touched
  pages,      ///< mapped page by page: MAP_POPULATE, or one read per page
  uncovered,  ///< page tables come with the file: only pages that they do not cover are read
  own,        ///< the program that is measured has a way of its own
};

struct System {
  std::string_view name;
  Ready ready;
  bool slots = false;     ///< mapped in whole slots, as the library does, not by a plain mmap
  bool huge_tlb = false;  ///< sizes are multiples of 2 MiB, and write(2) does not work

  constexpr bool touched() const { return ready != Ready::never; }
  constexpr bool by_pages() const { return ready == Ready::pages; }
};

inline constexpr std::array systems{
    System{"ext4", Ready::pages},
    System{"tmpfs-4k", Ready::pages},
    System{"tmpfs-huge", Ready::pages},
    System{"hugetlb", Ready::pages, false, true},
    System{"untouched", Ready::never},
    System{"morsel-4k", Ready::uncovered},
    System{"morsel-2m", Ready::uncovered},
    System{"morsel-4k-slot", Ready::uncovered, true},
    System{"morsel-2m-slot", Ready::uncovered, true},
    // On stock kernels: bench/native.
    System{"ext4-4k", Ready::pages},
    System{"hugetlb-shared", Ready::own, false, true},
    System{"morsel-lib", Ready::own, false, true},
    System{"morsel-open", Ready::own, false, true},
    System{"morsel-run", Ready::uncovered},
};

constexpr std::optional<System> system_by_name(std::string_view name) {
  for (const System& system : systems)
    if (system.name == name) return system;
  return std::nullopt;
}

}  // namespace morsel::bench
