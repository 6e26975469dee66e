// SPDX-License-Identifier: MIT
#include "regions.h"

namespace morsel::preload {

constinit Regions regions;

bool Regions::add(Range object, uintptr_t fallback, Range visible, uintptr_t unit) {
  const Guard guard(lock_);
  for (unsigned i = 0; i < table_.size(); ++i)
    if (table_[i].range().empty()) {
      table_[i].begin(object, fallback, visible, unit);
      if (i >= used_.load(std::memory_order_relaxed)) used_.store(i + 1, std::memory_order_release);
      return true;
    }
  return false;
}

Region* Regions::first_in(Range range) {
  Region* first = nullptr;
  for (unsigned i = 0; i < used_.load(std::memory_order_relaxed); ++i)
    if (Region& region = table_[i]; region.range().overlaps(range))
      if (!first || region.range().begin < first->range().begin) first = &region;
  return first;
}

long Regions::revert(Range range) {
  const Guard guard(lock_);
  while (Region* region = first_in(range))
    if (const long error = region->revert()) return error;
  return 0;
}

bool Regions::keeps_any(Range range) {
  const Guard guard(lock_);
  for (unsigned i = 0; i < used_.load(std::memory_order_relaxed); ++i)
    if (table_[i].range().overlaps(range) && table_[i].keeps_any(range)) return true;
  return false;
}

}  // namespace morsel::preload
