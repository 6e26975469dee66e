// SPDX-License-Identifier: MIT
//
// What is read from a tree: subtree(), run(), next(), full().
#include "world.h"

namespace morsel::test {
namespace {

using Kind = Subtree::Kind;

class SubtreeOf : public TreeTest {};
class Run : public TreeTest {};
class Next : public TreeTest {};
class Full : public TreeTest {};

TEST_F(SubtreeOf, AnEmptyTreeIsNothing) {
  for (const Twin twin : twins)
    for (const Level slot : {Level::pmd, Level::pud})
      EXPECT_EQ(tree.subtree(twin, 0, slot).kind, Kind::none);
}

TEST_F(SubtreeOf, ATreeTooLowIsNothing) {
  ASSERT_TRUE(put(1));
  EXPECT_EQ(tree.subtree(Twin::ro, 0, Level::pud).kind, Kind::none);
  EXPECT_EQ(tree.subtree(Twin::ro, 0, Level::pmd).kind, Kind::table) << "the root itself";
  EXPECT_EQ(tree.subtree(Twin::ro, 512, Level::pmd).kind, Kind::none) << "beyond the root";
}

TEST_F(SubtreeOf, TablesAreThoseThatTheEntriesLeadTo) {
  const Index index = 3 * pages_per_1g + 5 * pages_per_2m;
  ASSERT_TRUE(put(index + 17));
  for (const Twin twin : twins) {
    const Subtree small = tree.subtree(twin, index, Level::pmd);
    ASSERT_EQ(small.kind, Kind::table);
    EXPECT_EQ(small.value, arena.format().address(raw(twin, index, Level::pmd).load()));
    const Subtree large = tree.subtree(twin, 3 * pages_per_1g, Level::pud);
    ASSERT_EQ(large.kind, Kind::table);
    EXPECT_EQ(large.value, arena.format().address(raw(twin, index, Level::pud).load()));
  }
  EXPECT_NE(tree.subtree(Twin::rw, index, Level::pmd).value,
            tree.subtree(Twin::ro, index, Level::pmd).value);
  EXPECT_EQ(tree.subtree(Twin::ro, index + pages_per_2m, Level::pmd).kind, Kind::none);
  EXPECT_EQ(tree.subtree(Twin::ro, 2 * pages_per_1g, Level::pud).kind, Kind::none);
}

TEST_F(SubtreeOf, LeavesAreTheEntriesThemselves) {
  ASSERT_TRUE(put(1024, Level::pmd));
  for (const Twin twin : twins) {
    const Subtree leaf = tree.subtree(twin, 1024, Level::pmd);
    ASSERT_EQ(leaf.kind, Kind::leaf);
    EXPECT_EQ(leaf.value, raw(twin, 1024, Level::pmd).load());
  }
}

TEST_F(Run, CutsSmallEntriesFromAllLeavesAndHoles) {
  ASSERT_TRUE(put(510) && put(512, Level::pmd) && put(1025));
  u64 entries[520];
  for (const Twin twin : twins) {
    EXPECT_EQ(tree.run(twin, 509, 520, entries), 514u);
    for (Index i = 0; i < 520; i++) {
      Leaf leaf{};
      const bool there = tree.lookup(twin, 509 + i, leaf);
      ASSERT_EQ(there, i == 1 || (i >= 3 && i < 515) || i == 516) << i;
      ASSERT_EQ(entries[i], there ? arena.format().make_leaf(twin, leaf.pfn, Level::pte) : 0) << i;
    }
  }
}

TEST_F(Run, OverTheEndsOfTheTree) {
  ASSERT_TRUE(put(pages_per_tree - 1));
  u64 entries[4];
  EXPECT_EQ(tree.run(Twin::ro, pages_per_tree - 2, 4, entries), 1u);
  EXPECT_EQ(entries[0] | entries[2] | entries[3], 0u);
  EXPECT_NE(entries[1], 0u);
}

TEST_F(Next, InAnEmptyTreeAllIsHole) {
  EXPECT_EQ(tree.next({0, 1000}, true), 1000u);
  EXPECT_EQ(tree.next({10, 1000}, false), 10u);
  EXPECT_EQ(tree.next({0, pages_per_tree}, true), pages_per_tree);
  EXPECT_EQ(tree.next({5, 5}, true), 5u);
}

TEST_F(Next, FindsDataOverEmptyTables) {
  for (const Index index : boundaries) ASSERT_TRUE(put(index));
  Index from = 0;
  for (const Index index : boundaries) {
    EXPECT_EQ(tree.next({from, pages_per_tree}, true), index);
    from = index + 1;
  }
  EXPECT_EQ(tree.next({from, pages_per_tree}, true), pages_per_tree);
}

TEST_F(Next, FindsHolesBehindLeaves) {
  ASSERT_TRUE(put(511) && put(512, Level::pmd) && put(1024));
  EXPECT_EQ(tree.next({511, 4096}, false), 1025u);
  EXPECT_EQ(tree.next({700, 4096}, false), 1025u);
  EXPECT_EQ(tree.next({700, 1000}, false), 1000u) << "none in the range";
  EXPECT_EQ(tree.next({0, 4096}, false), 0u);
  EXPECT_EQ(tree.next({0, 4096}, true), 511u);
  EXPECT_EQ(tree.next({0, 500}, true), 500u);
}

TEST_F(Next, BeyondTheTreeAllIsHole) {
  ASSERT_TRUE(put(pages_per_tree - 1));
  EXPECT_EQ(tree.next({pages_per_tree - 1, pages_per_tree + 9}, false), pages_per_tree);
  EXPECT_EQ(tree.next({pages_per_tree, pages_per_tree + 9}, true), pages_per_tree + 9);
}

TEST_F(Full, MeansAllSmallLeavesOfASlot) {
  EXPECT_FALSE(tree.full(0));
  ASSERT_TRUE(fill(512));
  EXPECT_TRUE(tree.full(512));
  EXPECT_FALSE(tree.full(0) || tree.full(1024));
  for (const Index hole : {512, 700, 1023}) {
    remove({Index(hole), Index(hole) + 1});
    EXPECT_FALSE(tree.full(512)) << hole;
    ASSERT_TRUE(put(hole));
  }
}

TEST_F(Full, ALargeLeafIsNoTable) {
  ASSERT_TRUE(put(512, Level::pmd));
  EXPECT_FALSE(tree.full(512));
}

}  // namespace
}  // namespace morsel::test
