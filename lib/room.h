// SPDX-License-Identifier: MIT
// How much memory there is, before any is taken.
#pragma once

#include <cstdint>

namespace morsel {

/// Bytes that can be had without swapping: of the machine, and of this process's memory cgroups.
/// More than that and the kernel would kill somebody instead of reporting an error.
uint64_t available_memory();

struct HugePages {
  bool supported;  /// the kernel has 2-MiB pages of hugetlb
  uint64_t free;   /// neither used nor reserved
  uint64_t more;   /// may be added on demand (nr_overcommit_hugepages)
};
HugePages huge_pages();

}  // namespace morsel
