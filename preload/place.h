// SPDX-License-Identifier: MIT
//
// Mapping a hugetlb object at an address that is a multiple of 1 GiB.
#pragma once

#include <cstddef>
#include <cstdint>

#include "range.h"

namespace morsel::preload {

/// For the constructor.
void choose_places();

/// Maps `length` bytes (whole GiBs) at `offset` (a multiple of 1 GiB) so that the kernel can share
/// the page tables: docs/library.md has the rules. Empty if it can't be done.
Range map_aligned(int fd, size_t length, uintptr_t offset);

}  // namespace morsel::preload
