// SPDX-License-Identifier: MIT
//
// Random sequences of operations, after each of which the tree must hold what a plain map holds.
// What fails is shrunk to a short sequence; its seed is printed (RC_PARAMS=reproduce=...).
#include "world.h"

#include <rapidcheck.h>
#include <rapidcheck/gtest.h>  // after GoogleTest, which it needs

namespace morsel::test {
namespace {

enum class Kind { install, install_large, split, merge, remove, prune, grow, next, run, starve };
const char* const names[] = {"install", "install_large", "split", "merge", "remove",
                             "prune",   "grow",          "next",  "run",   "starve"};

struct Op {
  Kind kind;
  Index index;
  u64 pages;
};

std::ostream& operator<<(std::ostream& out, const Op& op) {
  return out << names[int(op.kind)] << "(" << op.index << ", " << op.pages << ")";
}

/// Pages in few clusters, so that operations meet, around every boundary of the tree.
rc::Gen<Index> some_page() {
  return rc::gen::apply(
      [](Index boundary, Index slot, Index page) {
        return std::min(boundary + slot * pages_per_2m + page, pages_per_tree - 1);
      },
      rc::gen::element<Index>(0, 0, pages_per_1g - 1024, 3 * pages_per_1g,
                              pages_per_table(Level::pud) - 1024, pages_per_tree - 2048),
      rc::gen::inRange<Index>(0, 4),
      rc::gen::element<Index>(0, 0, 1, 2, 3, 255, 256, 509, 510, 511));
}

rc::Gen<u64> some_length() {
  return rc::gen::element<u64>(0, 1, 2, 3, 256, 511, 512, 513, 1024, 1536, pages_per_1g,
                               2 * pages_per_1g, pages_per_tree);
}

rc::Gen<Op> some_op() {
  const auto kinds = rc::gen::weightedElement<Kind>({{8, Kind::install},
                                                     {5, Kind::install_large},
                                                     {3, Kind::split},
                                                     {2, Kind::merge},
                                                     {4, Kind::remove},
                                                     {3, Kind::prune},
                                                     {1, Kind::grow},
                                                     {3, Kind::next},
                                                     {2, Kind::run},
                                                     {2, Kind::starve}});
  return rc::gen::construct<Op>(kinds, some_page(), some_length());
}

class Model {
 public:
  explicit Model(World& world) : world_(world) {}

  void apply(const Op& op) {
    const Index slot = op.index / pages_per_2m * pages_per_2m;
    const Range range{op.index, std::min(op.index + op.pages, pages_per_tree)};
    switch (op.kind) {
      case Kind::install:
        RC_ASSERT(install(op.index, Level::pte));
        return;
      case Kind::install_large:
        RC_ASSERT(install(slot, Level::pmd));
        return;
      case Kind::split:
        RC_ASSERT(split(op.index));
        return;
      case Kind::merge:
        return merge(slot);
      case Kind::remove:
        return remove(range, false);
      case Kind::prune:
        return remove(range, true);
      case Kind::grow:
        RC_ASSERT(grow(op.index));
        return;
      case Kind::next:
        return next(range);
      case Kind::run:
        return run(op.index, std::min(op.pages, 1100UL));
      case Kind::starve:
        return starve(op.index, op.pages % 4);
    }
  }

  /// The tree at rest is sound, and holds exactly what the model holds.
  void compare() {
    RC_ASSERT(world_.fault() == std::string());
    const Image image = world_.image(Twin::ro);
    RC_ASSERT(image.leaves == leaves_);
    if (!starved_) RC_ASSERT(image.tables == world_.image(Twin::rw).tables);
  }

 private:
  /// The leaf that holds a page.
  const std::pair<const Index, LeafSeen>* at(Index index) const {
    auto after = leaves_.upper_bound(index);
    if (after == leaves_.begin()) return nullptr;
    const auto& leaf = *--after;
    return index < leaf.first + pages_per_entry(leaf.second.level) ? &leaf : nullptr;
  }
  Pfn frame(Index index) const {
    const auto* leaf = at(index);
    return leaf->second.pfn + index - leaf->first;
  }

  /// Small leaves hide a large one even when they are gone: their table stays until it is pruned.
  bool blocked(Index slot) const {
    for (const Twin twin : twins)
      if (world_.image(twin).tables.contains({Level::pte, slot})) return true;
    return false;
  }

  // What allocates returns false when memory has run out; then the model is as it was.
  bool install(Index index, Level level) {
    const bool free = at(index) == nullptr && (level == Level::pte || !blocked(index));
    const Pfn pfn = world_.frames.take(level, index);
    const Error error = world_.tree.install(index, level, pfn).error();
    if (error != Error::none) world_.frames.drop(pfn, level);
    if (error == Error::no_memory) return false;
    RC_ASSERT(error == (free ? Error::none : Error::occupied));
    if (free) leaves_[index] = {level, pfn};
    return true;
  }
  bool split(Index index) {
    const Error error = world_.tree.split(index).error();
    if (error == Error::no_memory) return false;
    RC_ASSERT(error == Error::none);
    const auto* leaf = at(index);
    if (leaf == nullptr || leaf->second.level != Level::pmd) return true;
    const auto [first, old] = *leaf;
    for (u64 i = 0; i < pages_per_2m; i++) leaves_[first + i] = {Level::pte, old.pfn + i};
    return true;
  }
  bool grow(Index index) {
    const Error error = world_.tree.grow(index).error();
    RC_ASSERT(error == Error::none || error == Error::no_memory);
    return error == Error::none;
  }

  void merge(Index slot) {
    if (at(slot) != nullptr && at(slot)->second.level == Level::pmd) return;
    RC_ASSERT(world_.tree.full(slot) == (count(slot) == pages_per_2m));
    for (Index i = slot; i < slot + pages_per_2m; i++)
      if (at(i) == nullptr) RC_ASSERT(install(i, Level::pte));
    RC_ASSERT(world_.tree.full(slot));
    RC_ASSERT(world_.tree.grow(slot, Level::pmd).ok());
    const Pfn pfn = world_.frames.take(Level::pmd, slot);
    std::multiset<Pfn> expected, sunk;
    for (Index i = slot; i < slot + pages_per_2m; i++) expected.insert(frame(i));
    world_.tree.merge(slot, pfn, [&](Pfn old, Level level) {
      sunk.insert(old);
      world_.frames.drop(old, level);
    });
    RC_ASSERT(sunk == expected);
    leaves_.erase(leaves_.lower_bound(slot), leaves_.lower_bound(slot + pages_per_2m));
    leaves_[slot] = {Level::pmd, pfn};
  }
  u64 count(Index slot) const {
    return u64(std::distance(leaves_.lower_bound(slot), leaves_.lower_bound(slot + pages_per_2m)));
  }

  void remove(Range range, bool prune) {
    const std::set<TableSeen> before = world_.image(Twin::ro).tables;
    std::multiset<Pfn> expected, sunk;
    for (auto leaf = leaves_.begin(); leaf != leaves_.end();) {
      const bool gone = range.covers(leaf->first, pages_per_entry(leaf->second.level));
      if (gone) expected.insert(leaf->second.pfn);
      leaf = gone ? leaves_.erase(leaf) : std::next(leaf);
    }
    world_.tree.remove(range, prune, [&](Pfn pfn, Level level) {
      sunk.insert(pfn);
      world_.frames.drop(pfn, level);
    });
    RC_ASSERT(sunk == expected);
    // Tables: all stay without prune; with it those wholly in the range go, but for the root.
    for (const Twin twin : twins) {
      std::set<TableSeen> left = world_.image(twin).tables;
      if (starved_ && twin == Twin::rw) continue;
      const Level top = before.empty() ? Level::pte : before.rbegin()->level;
      std::set<TableSeen> want;
      for (const TableSeen& table : before)
        if (!prune || table.level == top || !range.covers(table.base, pages_per_table(table.level)))
          want.insert(table);
      RC_ASSERT(left == want);
    }
  }

  void next(Range range) {
    for (const bool data : {true, false}) {
      Index want = range.first;
      while (want < range.last && (at(want) != nullptr) != data) {
        if (!data) {
          want = at(want)->first + pages_per_entry(at(want)->second.level);
        } else {
          const auto after = leaves_.upper_bound(want);
          want = after == leaves_.end() ? range.last : after->first;
        }
      }
      want = std::max(range.first, std::min(want, range.last));
      if (range.empty()) want = range.last;
      RC_ASSERT(world_.tree.next(range, data) == want);
    }
  }

  void run(Index first, u64 count) {
    std::vector<u64> entries(count + 1, 77);
    for (const Twin twin : twins) {
      u64 found = 0;
      const u64 told = world_.tree.run(twin, first, count, entries.data());
      for (u64 i = 0; i < count; i++) {
        const bool there = at(first + i) != nullptr;
        found += there;
        RC_ASSERT(
            entries[i] ==
            (there ? world_.arena.format().make_leaf(twin, frame(first + i), Level::pte) : 0));
      }
      RC_ASSERT(told == found);
      RC_ASSERT(entries[count] == 77UL);
    }
  }

  /// An operation whose first, second, ... allocation fails, until it needs no more of them: each
  /// time it fails and changes nothing.
  void starve(Index index, u64 kind) {
    const Index slot = index / pages_per_2m * pages_per_2m;
    for (long n = 1;; n++) {
      world_.arena.fail_allocation(n);
      const bool done = kind == 0   ? install(index, Level::pte)
                        : kind == 1 ? install(slot, Level::pmd)
                        : kind == 2 ? split(index)
                                    : grow(index);
      world_.arena.fail_allocation(0);
      if (done) return;
      starved_ = true;
      compare();
    }
  }

  World& world_;
  Leaves leaves_;
  bool starved_ = false;  ///< one twin may have tables that the other has not
};

RC_GTEST_PROP(Model, TreeHoldsWhatAMapHolds, ()) {
  const auto ops = *rc::gen::container<std::vector<Op>>(some_op());
  World world(2048, 1 << 16);
  Model model(world);
  for (const Op& op : ops) {
    model.apply(op);
    model.compare();
  }
  world.free();
  world.arena.reclaim();
  RC_ASSERT(world.arena.live() == 0);
  RC_ASSERT(world.frames.held() == 0);
}

}  // namespace
}  // namespace morsel::test
