// SPDX-License-Identifier: MIT
//
// promote() and forget(): 2-MiB leaves in place of small ones while processes map the object.
#include <map>

#include "world.h"

namespace morsel::test {
namespace {

class Promote : public TreeTest {
 protected:
  using Entries = std::map<Table*, std::vector<u64>>;

  static std::vector<u64> entries_of(Table* table) {
    std::vector<u64> entries;
    for (u64 i = 0; i < entries_per_table; i++) entries.push_back(table->at(i).load());
    return entries;
  }
  Table* pmd_table(Twin twin, Index base = 0) {
    return arena.table_at(tree.subtree(twin, base, Level::pud).value);
  }
};

TEST_F(Promote, PutsInOneLargeLeaf) {
  ASSERT_TRUE(fill(1024) && put(512) && put(2048, Level::pmd));
  ASSERT_EQ(promote(1024), Error::none);
  for (Index i = 0; i < 512; i++) ASSERT_TRUE(right(1024 + i, Level::pmd));
  EXPECT_TRUE(right(512) && right(2048, Level::pmd) && !has(513) && !has(1023) && !has(1536));
  EXPECT_EQ(retired.size(), 4u) << "a pmd and a pte table of each twin";
  EXPECT_EQ(fault(), "");
  ASSERT_TRUE(put(513)) << "in a table that old and new pmd tables have in common";
  ASSERT_TRUE(put(1536));
}

TEST_F(Promote, LeavesTheOldTablesAsTheyWere) {
  ASSERT_TRUE(fill(512) && put(1024) && put(1536, Level::pmd));
  remove({512, 1024});
  Entries before;
  for (const Twin twin : twins) before[pmd_table(twin)] = entries_of(pmd_table(twin));
  ASSERT_EQ(promote(512), Error::none);
  for (const auto& [table, entries] : before) EXPECT_EQ(entries_of(table), entries);
  for (const Twin twin : twins) EXPECT_EQ(before.count(pmd_table(twin)), 0u);
}

TEST_F(Promote, OfTheFirstSlotGrowsTheTree) {
  ASSERT_TRUE(fill(0));
  ASSERT_EQ(root_level(Twin::rw), unsigned(Level::pte));
  ASSERT_EQ(promote(0), Error::none);
  EXPECT_TRUE(right(0, Level::pmd) && right(511, Level::pmd));
}

TEST_F(Promote, InTallTrees) {
  for (const Index base : {pages_per_1g, pages_per_table(Level::pud), pages_per_tree - 512}) {
    ASSERT_TRUE(fill(base));
    ASSERT_EQ(promote(base), Error::none);
    for (Index i = 0; i < 512; i++) ASSERT_TRUE(right(base + i, Level::pmd));
    EXPECT_EQ(fault(), "");
  }
  ASSERT_TRUE(put(0));
}

TEST_F(Promote, SeveralAtOnce) {
  for (const Index slot : {512, 1024, 1536, 2048}) ASSERT_TRUE(fill(slot));
  remove({512, 1024});
  remove({1536, 2560});
  const Pfn pfns[] = {frames.take(Level::pmd, 512), 0, frames.take(Level::pmd, 1536),
                      frames.take(Level::pmd, 2048)};
  auto keep = [this](Table* table, Level level) { retired.emplace_back(table, level); };
  ASSERT_TRUE(tree.promote(512, pfns, 4, keep).ok());
  EXPECT_EQ(retired.size(), 2u + 6u);
  EXPECT_TRUE(right(512, Level::pmd) && right(1024) && right(1535) && right(1536, Level::pmd) &&
              right(2559, Level::pmd));
}

TEST_F(Promote, AndSplitGoRound) {
  ASSERT_TRUE(fill(512));
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(promote(512), Error::none);
    ASSERT_EQ(fault(), "");
    ASSERT_TRUE(tree.split(512).ok());
    ASSERT_TRUE(tree.full(512));
    ASSERT_EQ(fault(), "");
  }
}

TEST_F(Promote, WhereNoTableIs) {
  ASSERT_TRUE(put(512));
  EXPECT_EQ(promote(1024), Error::occupied);
  ASSERT_TRUE(put(1536, Level::pmd));
  const Pfn pfn = frames.take(Level::pmd, 1536);
  auto none = [](Table*, Level) { FAIL(); };
  EXPECT_EQ(tree.promote(1536, &pfn, 1, none).error(), Error::occupied);
  frames.drop(pfn, Level::pmd);
  EXPECT_TRUE(right(1536, Level::pmd));
}

TEST_F(Promote, WithoutMemoryChangesNothing) {
  ASSERT_TRUE(fill(512) && put(1024));
  for (long nth = 1; nth <= 2; nth++) {
    arena.fail_allocation(nth);
    ASSERT_EQ(promote(512), Error::no_memory);
    ASSERT_EQ(fault(), "");
    ASSERT_TRUE(retired.empty() && right(1024));
    ASSERT_TRUE(fill(512));
  }
}

/// A fault that wants to graft makes the tree taller, whoever else is at it.
TEST_F(Promote, WhileTheTreeGrows) {
  for (int moment = 1;; moment++) {
    World world;
    ASSERT_TRUE(world.fill(512) && world.put(1024));
    int calls = 0;
    world.arena.on_call([&] {
      if (++calls != moment) return;
      ASSERT_TRUE(world.tree.grow(7 * pages_per_1g).ok());
    });
    ASSERT_EQ(world.promote(512), Error::none);
    world.arena.on_call({});
    ASSERT_TRUE(world.right(512, Level::pmd) && world.right(1024)) << moment;
    ASSERT_EQ(world.fault(), "");
    world.free();
    ASSERT_EQ(world.arena.live(), 0);
    if (calls < moment) break;
  }
}

TEST_F(Promote, ForgetClearsWhatTouchesTheRange) {
  ASSERT_TRUE(put(512, Level::pmd) && put(1024, Level::pmd) && put(1536, Level::pmd) && fill(2048));
  Table* const old = pmd_table(Twin::rw);
  ASSERT_EQ(promote(2048), Error::none);
  tree.forget(old, 0, {1535, 1537});
  EXPECT_NE(old->at(1).load(), 0u);
  EXPECT_EQ(old->at(2).load(), 0u);
  EXPECT_EQ(old->at(3).load(), 0u);
  EXPECT_NE(old->at(4).load(), 0u) << "tables are no leaves";
  tree.forget(old, 0, {0, pages_per_1g});
  EXPECT_EQ(old->at(1).load(), 0u);
  tree.forget(old, pages_per_1g, {0, pages_per_1g});
  EXPECT_NE(old->at(4).load(), 0u);
}

}  // namespace
}  // namespace morsel::test
