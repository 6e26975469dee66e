// SPDX-License-Identifier: MIT
//
// One object's tree with all that it needs, and what a caller of core does around it.
#pragma once

#include <gtest/gtest.h>

#include "image.h"

namespace morsel::test {

/// What core sees of an arena and its frames.
struct ArenaHost : VolatileHost {
  using Table = core::Table;

  ArenaHost(Arena* of_arena, Frames* of_frames) : arena(of_arena), frames(of_frames) {}

  Arena* arena;
  Frames* frames;

  const Format& format() const {
    arena->step();
    return arena->format();
  }
  Table* table_at(Phys phys) const {
    arena->step();
    return arena->table_at(phys);
  }
  Phys address_of(Table* table) const { return arena->address_of(table); }
  Table* allocate_table(Level level) {
    arena->step();
    return arena->allocate(level);
  }
  void free_table(Table* table, Level level) { arena->retire(table, level); }
  void lock(Table* table) {
    arena->step();
    arena->lock(table);
  }
  void unlock(Table* table) { arena->unlock(table); }
  void wait(Table* table) {
    lock(table);
    unlock(table);
  }
  void hold_frame(Pfn pfn, u64 count) { frames->hold(pfn, count); }
};
static_assert(Host<ArenaHost>);

inline constexpr u64 pages_per_2m = pages_per_entry(Level::pmd);
inline constexpr u64 pages_per_1g = pages_per_entry(Level::pud);
inline constexpr u64 pages_per_tree = pages_per_table(top_level);
static_assert(pages_per_tree == 1UL << 36);

struct World {
  explicit World(u64 tables = 256, u64 small_frames = 4096, u64 large_frames = 256)
      : arena(tables), frames(small_frames, large_frames) {}

  Arena arena;
  Frames frames;
  Roots roots{};
  Tree<ArenaHost> tree{ArenaHost{&arena, &frames}, roots};

  /// Installs a new frame, and gives it back if it was not wanted.
  Error install(Index index, Level level = Level::pte) {
    const Pfn pfn = frames.take(level, index);
    const Error error = tree.install(index, level, pfn).error();
    if (error != Error::none) frames.drop(pfn, level);
    return error;
  }
  bool put(Index index, Level level = Level::pte) { return install(index, level) == Error::none; }
  bool fill(Index slot) {
    bool all = true;
    for (Index i = 0; i < pages_per_2m; i++) all = put(slot + i) && all;
    return all;
  }

  auto sink() {
    return [this](Pfn pfn, Level level) { frames.drop(pfn, level); };
  }
  void remove(Range range, bool prune = false) { tree.remove(range, prune, sink()); }
  void merge(Index slot) { tree.merge(slot, frames.take(Level::pmd, slot), sink()); }
  /// As while the object is mapped: the slot's leaves removed, a 2-MiB one put in. The retired
  /// tables are kept until retire_all().
  Error promote(Index slot) {
    remove({slot, slot + pages_per_entry(Level::pmd)});
    const Pfn pfn = frames.take(Level::pmd, slot);
    const Error error =
        tree.promote(slot, &pfn, 1,
                     [this](Table* table, Level level) { retired.emplace_back(table, level); })
            .error();
    if (error != Error::none) frames.drop(pfn, Level::pmd);
    return error;
  }
  void free_retired() {
    for (const auto& [table, level] : retired) arena.retire(table, level);
    retired.clear();
  }
  std::vector<std::pair<Table*, Level>> retired;

  void free() {
    tree.free(sink());
    free_retired();
  }

  bool has(Index index, Twin twin = Twin::ro) const {
    Leaf leaf{};
    return tree.lookup(twin, index, leaf);
  }
  /// True if both twins have the page, as a leaf of this size, with a frame taken for it.
  bool right(Index index, Level level = Level::pte) const {
    Leaf rw{}, ro{};
    return tree.lookup(Twin::rw, index, rw) && tree.lookup(Twin::ro, index, ro) &&
           rw.pfn == ro.pfn && rw.level == level && ro.level == level &&
           frames.owner(ro.pfn) == index;
  }
  /// The level of a twin's root table; 0 if it has none.
  unsigned root_level(Twin twin) const {
    return __atomic_load_n(&roots.word[unsigned(twin)], __ATOMIC_ACQUIRE) & 7;
  }
  /// One entry as it stands in memory: the one of `level` that leads to the page.
  AtomicEntry& raw(Twin twin, Index index, Level level) {
    const u64 word = roots.word[unsigned(twin)];
    Table* table = arena.table_at(word & ~7UL);
    for (Level at = Level(word & 7); at > level; at = below(at))
      table = arena.table_at(arena.format().address(table->at(slot_of(index, at)).load()));
    return table->at(slot_of(index, level));
  }

  Image image(Twin twin) const { return ImageReader(arena, twin).read(roots); }
  std::string fault() const { return fault_of(arena, frames, roots, retired.size()); }
};

/// A test on one object: sound at the end, and nothing left of it after free().
class TreeTest : public testing::Test, public World {
 protected:
  void TearDown() override {
    EXPECT_EQ(fault(), "");
    arena.on_call({});
    arena.fail_allocation(0);
    free();
    arena.reclaim();
    EXPECT_EQ(arena.live(), 0) << "tables leaked";
    EXPECT_EQ(frames.held(), 0) << "references leaked";
    EXPECT_EQ(roots.word[0] | roots.word[1], 0UL);
  }
};

/// Pages to the left and right of where a tree has to grow or to branch.
inline constexpr Index boundaries[] = {0,
                                       1,
                                       pages_per_2m - 1,
                                       pages_per_2m,
                                       pages_per_1g - 1,
                                       pages_per_1g,
                                       pages_per_table(Level::pud) - 1,
                                       pages_per_table(Level::pud),
                                       pages_per_tree - 1};

}  // namespace morsel::test
