/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// One entry of a page table: its encoding and its atomic life.
//
// States of an entry of ours, and every legal move between them:
//
//   none ──────────► leaf     install(): compare-and-swap, by anyone
//   none ──────────► table    descend(): compare-and-swap, by anyone
//   leaf ──────────► none     remove(): exchange under the table's lock
//   table ─────────► none     remove() of an empty table when nobody maps the object
//   leaf(2M) ──────► table    split(): exchange under the table's lock
//   table ─────────► leaf(2M) merge(): exchange under the table's lock, nobody maps the object
//   table ─────────► table    promote(): exchange under the table's lock, pud level only
//   leaf ◄─────────► busy     the kernel itself, under the table's lock, rewrites a 2-MiB leaf
//                             (6.1: MADV_COLD): not present but not zero for a moment
//
// Whoever leaves `none` needs no lock; whoever returns to it or replaces holds the table's own
// lock, because the kernel's own read-modify-writes of our leaves are made under it and would
// otherwise bring a removed leaf back to life.
#pragma once

#include "atomic.h"

namespace morsel::core {

/// The machine's encoding, handed in by the host: flags differ with memory encryption and NX.
struct Format {
  u64 present;
  u64 write;
  u64 accessed;
  u64 dirty;
  u64 huge;      ///< marks a leaf above the pte level
  u64 pfn_mask;  ///< where an entry holds its physical address
  u64 table;     ///< all flags of an entry that leads to a table: exactly the kernel's
  u64 leaf[2];   ///< all flags of a 4-KiB leaf, by twin

  /// The read-only twin must be W=0, D=0, A=1 (W=0 with D=1 is a shadow-stack page, which WRSS
  /// writes), the writable one W=1, D=1, A=1 (no hardware update ever races with ours).
  constexpr bool sound() const {
    const u64 bits = present | write | accessed | dirty;
    return (leaf[0] & bits) == bits && (leaf[1] & bits) == (present | accessed) &&
           (table & (present | write)) == (present | write) &&
           ((leaf[0] | leaf[1] | table) & (pfn_mask | huge)) == 0;
  }

  constexpr u64 make_table(Phys table_address) const { return table_address | table; }
  constexpr u64 make_leaf(Twin twin, Pfn pfn, Level level) const {
    return (pfn << page_shift) | leaf[static_cast<unsigned>(twin)] |
           (level == Level::pte ? 0 : huge);
  }
  constexpr bool is_present(u64 entry) const { return (entry & present) != 0; }
  constexpr bool is_leaf(u64 entry, Level level) const {
    return level == Level::pte || (entry & huge) != 0;
  }
  constexpr Phys address(u64 entry) const { return entry & pfn_mask; }
  constexpr Pfn pfn(u64 entry) const { return address(entry) >> page_shift; }
};

/// An entry as the hardware and other CPUs see it.
template <class Atomic>
class BasicEntry {
 public:
  /// Acquire: what the entry leads to was written before it was published.
  u64 load() const { return Atomic::load(bits_); }

  /// none → desired. Release: the table or frame behind it is complete before it can be found, and
  /// so is what else its finder relies on (the leaf in rw, of one in ro). Relaxed on failure: who
  /// wants to follow what was quicker loads it.
  template <Order order = Order::release>
  bool publish(u64 desired) {
    u64 seen = 0;
    return Atomic::template compare_exchange<order, Order::relaxed>(bits_, seen, desired);
  }

  /// Anything → desired, under the table's lock. Returns what was there. Release: as above. No
  /// acquire: what was there was published before the caller shut out those who publish.
  u64 exchange(u64 desired) { return Atomic::template exchange<Order::release>(bits_, desired); }

  /// Anything → none, under the table's lock. Relaxed: `none` leads nowhere. That a frame is given
  /// to others only when nobody can find it here is the caller's business: a TLB flush, and so on.
  void clear() { Atomic::template exchange<Order::relaxed>(bits_, 0UL); }

  /// Only for tables that nobody else can see yet.
  void init(u64 bits) { Atomic::init(bits_, bits); }

 private:
  u64 bits_;
};
using AtomicEntry = BasicEntry<HardwareAtomic>;
static_assert(sizeof(AtomicEntry) == sizeof(u64));

}  // namespace morsel::core
