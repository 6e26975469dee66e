// SPDX-License-Identifier: MIT
//
// The table of all regions of this process.
#pragma once

#include <array>

#include "lock.h"
#include "region.h"

namespace morsel::preload {

class Regions {
 public:
  /// False if no region is there. Takes no lock: most calls that come through here have nothing to
  /// do with us, and some come from allocators that hold locks of their own.
  [[nodiscard]] bool touched_by(Range range) const {
    for (unsigned i = 0; i < used_.load(std::memory_order_acquire); ++i)
      if (table_[i].range().overlaps(range)) return true;
    return false;
  }

  /// False: the table is full.
  [[nodiscard]] bool add(Range object, uintptr_t fallback, Range visible, uintptr_t unit);

  /// munmap and the like: `inside` for each region's part of `range`, `outside` for what lies
  /// between. Both return 0 or a negative errno. The first error is the result and, if `stop`,
  /// the end; madvise goes on.
  template <typename Inside, typename Outside>
  long for_each_part(Range range, bool stop, Inside inside, Outside outside);

  /// Makes everything in `range` ordinary mappings.
  long revert(Range range);

  /// True if the program has something mapped there by way of us.
  bool keeps_any(Range range);

  /// For fork: the child must not find the table half changed.
  Lock& lock() { return lock_; }

 private:
  /// The lowest one that overlaps `range`, or NULL.
  Region* first_in(Range range);

  Lock lock_;
  std::atomic<unsigned> used_{0};  // entries that were ever used
  std::array<Region, 128> table_;
};

extern Regions regions;

template <typename Inside, typename Outside>
long Regions::for_each_part(Range range, bool stop, Inside inside, Outside outside) {
  const Guard guard(lock_);
  long result = 0;
  const auto note = [&](long error) {
    if (!result) result = error;
  };
  while (!range.empty() && !(stop && result)) {
    Region* region = first_in(range);
    // It may go while we use it.
    const Range here = region ? region->range() & range : Range{range.end, range.end};
    if (range.begin < here.begin) {
      note(outside(Range{range.begin, here.begin}));
      range.begin = here.begin;
    } else if (region) {
      note(inside(*region, here));
      range.begin = here.end;
    }
  }
  return result;
}

}  // namespace morsel::preload
