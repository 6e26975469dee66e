/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// A page table: one frame full of entries, exactly what the hardware walks.
#pragma once

#include "entry.h"

namespace morsel::core {

template <class A>
struct BasicTable {
  using Atomic = A;
  using Entry = BasicEntry<Atomic>;

  Entry entries[entries_per_table];

  Entry& at(u64 slot) { return entries[slot]; }
  const Entry& at(u64 slot) const { return entries[slot]; }
};
using Table = BasicTable<HardwareAtomic>;
static_assert(sizeof(Table) == 1UL << page_shift);

}  // namespace morsel::core
