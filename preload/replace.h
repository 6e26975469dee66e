// SPDX-License-Identifier: MIT
//
// mmap of a cached file, answered with a mapping of its object.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "range.h"

namespace morsel::preload {

/// The arguments of mmap.
struct Request {
  void* address;
  size_t length;
  int prot;
  int flags;
  int fd;
  off_t offset;
};

/// The address, or 0: not replaced, the real call is to be made.
uintptr_t replace(const Request& request);

/// Makes first accesses to `part` of a hugetlb object free of faults, if its tables are shared:
/// one fault per GiB hangs the table in. They are ordinary faults later on if not.
void touch(Range part);

}  // namespace morsel::preload
