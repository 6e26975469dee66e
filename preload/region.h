// SPDX-License-Identifier: MIT
//
// A mapping of an object that stands for a mapping of a file and cannot do all that one can: of
// hugetlb, whose pages are too large to be cut as the program likes; or a shared one of morselfs
// that stands for a private one.
//
// Beside it lies the mapping that the program has asked for, the *fallback*: of the file, for the
// same range, untouched and without access, so it costs two records in the kernel. When the
// program does what the object cannot do, the fallback moves into the object's place at one go, so
// that other threads may read there meanwhile, and the kernel does the rest. A descriptor kept for
// this purpose would be one that the program could close or run into.
#pragma once

#include <atomic>

#include "kept.h"
#include "object.h"

namespace morsel::preload {

/// All functions but `range` want the table's lock.
class Region {
 public:
  /// What the object occupies; empty if this is no region. At least what the program has asked
  /// for, rounded to `unit`.
  [[nodiscard]] Range range() const {
    const uintptr_t end = end_.load(std::memory_order_acquire);
    return {begin_.load(std::memory_order_relaxed), end};
  }

  /// The object is mapped at `object`, the fallback from `fallback` on.
  void begin(Range object, uintptr_t fallback, Range visible, uintptr_t unit);

  /// munmap of a part. A part is only noted, and stays readable, until whole units at an end are
  /// gone; so no page table that is shared with other processes is given up for it.
  long unmap(Range part);
  /// Puts the file in the object's place; this is no region any more. -ENOMEM: all is as it was.
  long revert();
  /// False: something of it is unmapped, or was never asked for.
  [[nodiscard]] bool keeps(Range part) const { return kept_.covers(part); }
  [[nodiscard]] bool keeps_any(Range part) const { return kept_.overlaps(part); }

 private:
  void set_range(Range range);
  void trim(Range to);

  // Read without the lock. A thread can only ask about a region whose address it has been told,
  // so it cannot see one that is being made.
  std::atomic<uintptr_t> begin_{0};
  std::atomic<uintptr_t> end_{0};
  uintptr_t fallback_ = 0;
  uintptr_t unit_ = 0;
  Kept kept_;
};

}  // namespace morsel::preload
