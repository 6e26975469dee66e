// SPDX-License-Identifier: MIT
//
// The kernel as it rewrites a 2-MiB leaf for MADV_COLD on 6.1: under the table's lock the leaf is
// made non-present, its address inverted (as against L1TF), and then set anew, but old.
#pragma once

#include "world.h"

namespace morsel::test {

/// Rewrites the leaf in a slot of a pmd table, if there is one; `pause` runs while it is busy.
template <class Pause>
bool rewrite_leaf(Arena& arena, Table* table, u64 slot, Pause&& pause) {
  const Format& format = arena.format();
  arena.lock(table);
  AtomicEntry& entry = table->at(slot);
  const u64 old = entry.load();
  const bool leaf = (old & format.present) != 0 && (old & format.huge) != 0;
  if (leaf) {
    entry.exchange((old & ~format.present) ^ format.pfn_mask);
    pause();
    entry.exchange(old & ~format.accessed);
  }
  arena.unlock(table);
  return leaf;
}

}  // namespace morsel::test
