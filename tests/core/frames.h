// SPDX-License-Identifier: MIT
//
// Data frames of the tests: numbers without memory behind them, with reference counts and a note
// of whose page they are. Like the kernel's, a 2-MiB frame is counted as a whole.
#pragma once

#include "arena_host.h"

namespace morsel::test {

class Frames {
 public:
  static constexpr u64 large_pages = pages_per_entry(Level::pmd);

  explicit Frames(u64 small = 4096, u64 large = 256)
      : small_(small), large_(large), counts_(new Count[small + large]) {}

  /// A new frame for a page, with one reference. The note is plain memory, as a frame's contents
  /// are: only the order in which core publishes makes it readable for others.
  Pfn take(Level level, Index index) {
    const bool big = level == Level::pmd;
    const u64 n = (big ? used_large_ : used_small_).fetch_add(1, std::memory_order_relaxed);
    if (n >= (big ? large_ : small_)) die("too few frames for this test", n);
    Count& count = counts_[big ? small_ + n : n];
    count.owner = index;
    count.references.store(1, std::memory_order_relaxed);
    held_.fetch_add(1, std::memory_order_relaxed);
    return big ? first_large + n * large_pages : first_small + n;
  }

  void hold(Pfn pfn, u64 n) {
    if (pfn % large_pages != 0 || !is_large(pfn)) die("holds what is no 2-MiB frame", pfn);
    find(pfn).references.fetch_add(static_cast<long>(n), std::memory_order_relaxed);
    held_.fetch_add(static_cast<long>(n), std::memory_order_relaxed);
  }

  /// Gives back the reference of one leaf.
  void drop(Pfn pfn, Level level) {
    if (level == Level::pmd && (!is_large(pfn) || pfn % large_pages != 0))
      die("drops what is no 2-MiB frame", pfn);
    if (find(pfn).references.fetch_sub(1, std::memory_order_relaxed) < 1)
      die("a frame dropped too often", pfn);
    held_.fetch_sub(1, std::memory_order_relaxed);
  }

  /// The page that a frame was taken for.
  Index owner(Pfn pfn) const {
    return is_large(pfn) ? find(pfn).owner + pfn % large_pages : find(pfn).owner;
  }

  long references(Pfn pfn) const { return find(pfn).references; }
  long held() const { return held_; }

 private:
  static constexpr Pfn first_small = 0x1000000, first_large = 0x8000000;
  struct Count {
    std::atomic<long> references{0};
    Index owner = 0;
  };

  bool is_large(Pfn pfn) const { return pfn >= first_large; }
  Count& find(Pfn pfn) const {
    const u64 n = is_large(pfn) ? (pfn - first_large) / large_pages : pfn - first_small;
    if (n >= (is_large(pfn) ? used_large_ : used_small_).load(std::memory_order_relaxed))
      die("a frame that nobody installed", pfn);
    return counts_[is_large(pfn) ? small_ + n : n];
  }

  const u64 small_, large_;
  std::unique_ptr<Count[]> counts_;
  std::atomic<u64> used_small_{0}, used_large_{0};
  std::atomic<long> held_{0};
};

}  // namespace morsel::test
