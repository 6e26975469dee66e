// SPDX-License-Identifier: MIT
// What the two kinds of memfd have in common.
#pragma once

#include <cstdint>

#include "descriptor.h"
#include "result.h"

namespace morsel {

/// An empty memfd that can be sealed and that nobody but its owner can open; `flags`:
/// MFD_HUGETLB...
Result<Descriptor> make_memfd(unsigned flags);

/// All four seals.
Status seal_memfd(int fd);
bool is_sealed_memfd(int fd);
/// Whether the file knows of seals at all.
bool has_seals(int fd);

/// Allocates [from, to) by way of a mapping, as only that lets several threads clear pages, and
/// only that lets shmem take huge pages where it is not set to. `from` is a multiple of 2 MiB.
/// -ENOSPC, and then part of it may be there.
Status fault_in(int fd, uint64_t from, uint64_t to);

}  // namespace morsel
