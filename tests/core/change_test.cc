// SPDX-License-Identifier: MIT
//
// Taking away and replacing: split(), merge(), remove(), free().
#include "world.h"

namespace morsel::test {
namespace {

class Split : public TreeTest {};
class Merge : public TreeTest {};
class Remove : public TreeTest {};
class RemoveAt : public TreeTest, public testing::WithParamInterface<Index> {};
INSTANTIATE_TEST_SUITE_P(Boundaries, RemoveAt, testing::ValuesIn(boundaries));
class Free : public TreeTest {};

TEST_F(Split, KeepsEveryTranslation) {
  for (const Index slot : {Index(512), 7 * pages_per_1g + 512, pages_per_tree - 512}) {
    ASSERT_TRUE(put(slot, Level::pmd));
    Leaf leaf{};
    ASSERT_TRUE(tree.lookup(Twin::ro, slot, leaf));
    ASSERT_TRUE(tree.split(slot + 300).ok());
    for (Index i = 0; i < 512; i++) ASSERT_TRUE(right(slot + i));
    EXPECT_EQ(frames.references(leaf.pfn), 512);
    EXPECT_EQ(fault(), "");
  }
}

TEST_F(Split, OfAnythingElseDoesNothing) {
  ASSERT_TRUE(tree.split(512).ok());
  EXPECT_EQ(arena.live(), 0);
  ASSERT_TRUE(put(512));
  const long tables = arena.live();
  ASSERT_TRUE(tree.split(512).ok());
  ASSERT_TRUE(tree.split(513).ok());
  ASSERT_TRUE(tree.split(~0UL).ok());
  EXPECT_EQ(arena.live(), tables);
}

TEST_F(Split, ThenRemoveGivesBackPageByPage) {
  ASSERT_TRUE(put(512, Level::pmd));
  ASSERT_TRUE(tree.split(512).ok());
  remove({600, 700});
  EXPECT_EQ(frames.held(), 412);
  EXPECT_EQ(fault(), "");
  EXPECT_TRUE(right(599) && right(700) && !has(600) && !has(699));
  ASSERT_TRUE(put(650));
}

TEST_F(Merge, MakesOneLargeLeaf) {
  ASSERT_TRUE(fill(1024));
  const long tables = arena.live();
  merge(1024);
  EXPECT_EQ(arena.live(), tables - 2);
  EXPECT_EQ(frames.held(), 1) << "the old frames went to the sink";
  for (Index i = 0; i < 512; i++) ASSERT_TRUE(right(1024 + i, Level::pmd));
}

TEST_F(Merge, OfTheFirstSlotNeedsGrow) {
  ASSERT_TRUE(fill(0));
  ASSERT_TRUE(tree.grow(0, Level::pmd).ok());
  merge(0);
  EXPECT_TRUE(right(0, Level::pmd) && right(511, Level::pmd));
}

TEST_F(Merge, AndSplitGoRound) {
  ASSERT_TRUE(fill(512));
  for (int i = 0; i < 3; i++) {
    merge(512);
    ASSERT_EQ(fault(), "");
    ASSERT_TRUE(tree.split(512).ok());
    ASSERT_EQ(fault(), "");
    EXPECT_TRUE(tree.full(512));
  }
}

TEST_P(RemoveAt, TakesExactlyOnePage) {
  for (const Index index : boundaries) ASSERT_TRUE(put(index));
  remove({GetParam(), GetParam() + 1});
  for (const Index index : boundaries) EXPECT_EQ(has(index), index != GetParam());
  EXPECT_EQ(fault(), "");
  ASSERT_TRUE(put(GetParam()));
}

TEST_P(RemoveAt, FromHereToTheEnd) {
  for (const bool prune : {false, true}) {
    for (const Index index : boundaries) install(index);
    remove({GetParam(), pages_per_tree}, prune);
    for (const Index index : boundaries) EXPECT_EQ(has(index), index < GetParam());
    EXPECT_EQ(fault(), "");
  }
}

TEST_F(Remove, NothingFromNothing) {
  remove({0, pages_per_tree});
  ASSERT_TRUE(put(5));
  remove({6, 6});
  remove({9, 2});
  remove({6, ~0UL});
  EXPECT_TRUE(right(5));
}

TEST_F(Remove, GivesEachFrameOnceWithItsSize) {
  ASSERT_TRUE(put(3) && put(512, Level::pmd) && put(1030));
  std::map<Level, int> count;
  tree.remove({0, 2048}, false, [&](Pfn pfn, Level level) {
    count[level]++;
    frames.drop(pfn, level);
  });
  EXPECT_EQ(count[Level::pte], 2);
  EXPECT_EQ(count[Level::pmd], 1);
}

TEST_F(Remove, LeavesLargeLeavesAtTheEndsAlone) {
  ASSERT_TRUE(put(512, Level::pmd));
  remove({513, 1024});
  remove({512, 1023});
  EXPECT_TRUE(right(512, Level::pmd));
  remove({512, 1024});
  EXPECT_FALSE(has(512, Twin::rw) || has(512, Twin::ro));
}

TEST_F(Remove, KeepsEveryTableWhileSomebodyMaps) {
  for (const Index index : boundaries) ASSERT_TRUE(put(index));
  const Image before = image(Twin::ro);
  remove({0, pages_per_tree}, /*prune=*/false);
  for (const Twin twin : twins) {
    EXPECT_EQ(image(twin).tables, before.tables);
    EXPECT_TRUE(image(twin).leaves.empty());
  }
}

TEST_F(Remove, PrunesTablesWhollyInTheRange) {
  ASSERT_TRUE(put(0) && put(512) && put(1024) && put(pages_per_1g));
  remove({1, 1024 + 1}, /*prune=*/true);
  const std::set<TableSeen> left = {
      {Level::pte, 0}, {Level::pte, 1024},         {Level::pte, pages_per_1g},
      {Level::pmd, 0}, {Level::pmd, pages_per_1g}, {Level::pud, 0}};
  for (const Twin twin : twins) EXPECT_EQ(image(twin).tables, left);
  EXPECT_TRUE(right(0) && right(pages_per_1g));
  ASSERT_TRUE(put(512) && put(1024)) << "and grows again";
}

TEST_F(Remove, PrunedTablesStayReadableUntilReclaimed) {
  ASSERT_TRUE(put(512));
  const Table* old = arena.table_at(tree.subtree(Twin::ro, 512, Level::pmd).value);
  remove({512, 1024}, /*prune=*/true);
  EXPECT_FALSE(arena.is_live(old));
  for (u64 slot = 0; slot < 512; slot++) ASSERT_EQ(old->at(slot).load(), 0u);
}

TEST_F(Free, OfAnEmptyTree) {
  free();
  ASSERT_TRUE(tree.grow(pages_per_1g).ok());
  free();
  EXPECT_EQ(arena.live(), 0);
}

TEST_F(Free, LeavesAUsableEmptyTree) {
  for (int round = 0; round < 2; round++) {
    for (const Index index : boundaries) ASSERT_TRUE(put(index));
    ASSERT_TRUE(put(4 * pages_per_1g, Level::pmd));
    free();
    EXPECT_EQ(arena.live(), 0);
    EXPECT_EQ(frames.held(), 0);
  }
}

}  // namespace
}  // namespace morsel::test
