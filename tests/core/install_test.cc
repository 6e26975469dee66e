// SPDX-License-Identifier: MIT
//
// Growing a tree, installing leaves, looking them up.
#include "world.h"

namespace morsel::test {
namespace {

class Grow : public TreeTest {};
class Install : public TreeTest {};
class InstallAt : public TreeTest, public testing::WithParamInterface<Index> {};
INSTANTIATE_TEST_SUITE_P(Boundaries, InstallAt, testing::ValuesIn(boundaries));

TEST_F(Grow, MakesBothTwinsJustTallEnough) {
  EXPECT_FALSE(has(0));
  const Index pages[] = {511, 512, pages_per_1g - 1, pages_per_1g, pages_per_tree - 1};
  const unsigned levels[] = {1, 2, 2, 3, 4};
  for (unsigned i = 0; i < 5; i++) {
    ASSERT_TRUE(tree.grow(pages[i]).ok());
    for (const Twin twin : twins) EXPECT_EQ(root_level(twin), levels[i]);
    EXPECT_EQ(fault(), "");
  }
}

TEST_F(Grow, StartsAtTheLevelAskedFor) {
  ASSERT_TRUE(tree.grow(0, Level::pmd).ok());
  EXPECT_EQ(root_level(Twin::ro), 2u);
  EXPECT_EQ(arena.live(), 2) << "one table per twin, none below";
}

TEST_F(Grow, NeverShrinks) {
  ASSERT_TRUE(tree.grow(pages_per_1g).ok());
  ASSERT_TRUE(tree.grow(0).ok());
  EXPECT_EQ(root_level(Twin::rw), 3u);
}

TEST_F(Grow, KeepsWhatIsThere) {
  ASSERT_TRUE(put(3));
  for (const Index index : boundaries) {
    ASSERT_TRUE(tree.grow(index).ok());
    EXPECT_TRUE(right(3));
  }
}

TEST_F(Grow, RefusesWhatNoTreeHolds) {
  EXPECT_EQ(tree.grow(pages_per_tree).error(), Error::too_large);
  EXPECT_EQ(tree.grow(~0UL).error(), Error::too_large);
  EXPECT_EQ(install(pages_per_tree), Error::too_large);
  EXPECT_EQ(install(pages_per_tree, Level::pmd), Error::too_large);
  EXPECT_EQ(arena.live(), 0);
}

TEST_P(InstallAt, SmallInAnEmptyTree) {
  const Index index = GetParam();
  EXPECT_EQ(install(index), Error::none);
  EXPECT_TRUE(right(index));
  EXPECT_FALSE(has(index + 1) || has(index - 1) || has(index ^ 512) || has(index ^ pages_per_1g));
}

TEST_P(InstallAt, LargeInAnEmptyTree) {
  const Index slot = GetParam() / pages_per_2m * pages_per_2m;
  EXPECT_EQ(install(slot, Level::pmd), Error::none);
  for (const Index i : {Index(0), Index(1), Index(511)}) EXPECT_TRUE(right(slot + i, Level::pmd));
  EXPECT_FALSE(has(slot - 1) || has(slot + pages_per_2m));
}

TEST_P(InstallAt, AfterAllOthers) {
  for (const Index index : boundaries) ASSERT_TRUE(put(index));
  EXPECT_EQ(install(GetParam()), Error::occupied);
  EXPECT_TRUE(right(GetParam()));
}

TEST_F(Install, OccupiedKeepsTheFirst) {
  ASSERT_TRUE(put(7));
  Leaf before{}, after{};
  ASSERT_TRUE(tree.lookup(Twin::ro, 7, before));
  EXPECT_EQ(install(7), Error::occupied);
  ASSERT_TRUE(tree.lookup(Twin::ro, 7, after));
  EXPECT_EQ(before.pfn, after.pfn);
}

TEST_F(Install, SmallInLargeIsOccupied) {
  ASSERT_TRUE(put(512, Level::pmd));
  const long tables = arena.live();
  EXPECT_EQ(install(512 + 9), Error::occupied);
  EXPECT_TRUE(right(512 + 9, Level::pmd));
  EXPECT_EQ(arena.live(), tables);
}

TEST_F(Install, LargeOverSmallIsOccupied) {
  ASSERT_TRUE(put(512 + 9));
  EXPECT_EQ(install(512, Level::pmd), Error::occupied);
  EXPECT_TRUE(right(512 + 9));
  EXPECT_FALSE(has(512));
}

TEST_F(Install, LargeOverALowTree) {
  ASSERT_TRUE(put(1));  // a root of pte level, which grows
  EXPECT_EQ(install(0, Level::pmd), Error::occupied);
  EXPECT_TRUE(put(512, Level::pmd));
  EXPECT_TRUE(right(1) && right(600, Level::pmd));
}

// Another CPU was interrupted between its two steps: rw has the leaf, ro does not yet.
TEST_F(Install, CompletesWhatAnotherBegan) {
  ASSERT_TRUE(put(5));
  ASSERT_TRUE(put(1024, Level::pmd));
  for (const auto& [index, level] : {std::pair(Index(5), Level::pte), {1024, Level::pmd}}) {
    raw(Twin::ro, index, level).exchange(0);
    ASSERT_TRUE(has(index, Twin::rw) && !has(index, Twin::ro));
    EXPECT_EQ(install(index, level), Error::occupied);
    EXPECT_TRUE(right(index, level));
  }
  raw(Twin::ro, 1024, Level::pmd).exchange(0);
  EXPECT_EQ(install(1024 + 77), Error::occupied) << "a small one that meets half a large one";
  EXPECT_TRUE(right(1024 + 77, Level::pmd));
}

TEST(InstallFlags, ComeFromTheHost) {
  for (const Format* format : {&plain_format, &encrypted_format}) {
    Arena arena(16, *format);
    Frames frames;
    Roots roots{};
    Tree<ArenaHost> tree(ArenaHost{&arena, &frames}, roots);
    ASSERT_TRUE(tree.install(1, Level::pte, frames.take(Level::pte, 1)).ok());
    ASSERT_TRUE(tree.install(512, Level::pmd, frames.take(Level::pmd, 512)).ok());
    EXPECT_EQ(fault_of(arena, frames, roots), "");
  }
}

}  // namespace
}  // namespace morsel::test
