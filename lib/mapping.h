// SPDX-License-Identifier: MIT
// An object in this process's address space.
#pragma once

#include <memory>

#include "object.h"
#include "region.h"

struct morsel_mapping {
  /// Holds a shared flock for as long as the mapping lives: who wants to throw the object out looks
  /// for that. The first member, so that it goes last.
  morsel::Descriptor use;
  const morsel::Backend* backend;
  uint64_t bytes;
  morsel::Region region;
  /// Of hugetlb: one page of each GiB brings all the others, as long as somebody has them mapped.
  bool tables_kept;
};

namespace morsel {

Result<std::unique_ptr<morsel_mapping>> map_object(const morsel_object& object,
                                                   morsel_access access);

/// Takes the lock that says so, and moves the time of the last use.
void mark_used(int fd);

/// Whether any process has it mapped.
Result<bool> in_use(const morsel_object& object);

}  // namespace morsel
