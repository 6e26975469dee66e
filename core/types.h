/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// Plain vocabulary of core: integers with a meaning, and the levels of a page table.
// Freestanding: no header of libc, of the C++ library or of the kernel is used in core.
#pragma once

namespace morsel::core {

using u64 = unsigned long;
static_assert(sizeof(u64) == 8, "x86-64 only");

/// Physical address in bytes.
using Phys = u64;
/// Number of a 4-KiB frame: physical address / 4096.
using Pfn = u64;
/// Number of a 4-KiB page in an object, from its start.
using Index = u64;

inline constexpr unsigned page_shift = 12;
inline constexpr unsigned index_bits = 9;
inline constexpr u64 entries_per_table = 1UL << index_bits;

/// The two subtrees of an object over the same frames: one whose leaves allow writing and one
/// whose leaves do not. GUP-fast looks at the leaf only, so read-only needs leaves of its own.
enum class Twin : unsigned { rw = 0, ro = 1 };
/// In the order that leaves appear in, and in the order that they go.
inline constexpr Twin twins[] = {Twin::rw, Twin::ro};
inline constexpr Twin twins_to_remove[] = {Twin::ro, Twin::rw};

/// Level of a table, named as Linux names its entries: a pte table holds 4-KiB leaves, a pmd
/// table holds pte tables or 2-MiB leaves, and so on.
enum class Level : unsigned { pte = 1, pmd = 2, pud = 3, p4d = 4 };
inline constexpr Level top_level = Level::p4d;

constexpr Level below(Level level) { return static_cast<Level>(static_cast<unsigned>(level) - 1); }
constexpr Level above(Level level) { return static_cast<Level>(static_cast<unsigned>(level) + 1); }

/// Pages that one entry of a table of this level covers: 1 for pte, 512 for pmd.
constexpr u64 pages_per_entry(Level level) {
  return 1UL << (index_bits * (static_cast<unsigned>(level) - 1));
}
/// Pages that a whole table of this level covers.
constexpr u64 pages_per_table(Level level) { return pages_per_entry(level) << index_bits; }

/// Which entry of a table of this level leads to the page.
constexpr u64 slot_of(Index index, Level level) {
  return (index / pages_per_entry(level)) % entries_per_table;
}

template <class A, class B>
inline constexpr bool same_type = __is_same(A, B);

/// For concepts: an expression's type.
template <class T, class Expected>
concept Is = same_type<T, Expected>;

/// Half-open range of page numbers.
struct Range {
  Index first;
  Index last;
  constexpr bool empty() const { return first >= last; }
  constexpr bool covers(Index from, u64 pages) const {
    return first <= from && from + pages <= last;
  }
};

}  // namespace morsel::core
