/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// A page table: one frame full of entries, exactly what the hardware walks.
#pragma once

#include "entry.h"

namespace morsel::core {

struct Table {
  AtomicEntry entries[entries_per_table];

  AtomicEntry& at(u64 slot) { return entries[slot]; }
  const AtomicEntry& at(u64 slot) const { return entries[slot]; }
};
static_assert(sizeof(Table) == 1UL << page_shift);

}  // namespace morsel::core
