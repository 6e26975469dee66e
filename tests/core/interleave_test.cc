// SPDX-License-Identifier: MIT
//
// Interleavings without chance: whatever core asks its host, other CPUs may have acted just
// before. So one operation is run again and again, each time with another operation put in at its
// k-th call into the host, for every k; and readers look at the tree at every call.
#include <functional>

#include "world.h"

namespace morsel::test {
namespace {

using Act = std::function<void(World&)>;

/// Runs `outer` with `inner` put in at its k-th call, for every k, each on a new world.
void at_every_call(const Act& prepare, const Act& outer, const Act& inner, const Act& check) {
  for (int k = 1;; k++) {
    SCOPED_TRACE("inserted at call " + std::to_string(k));
    World world(64, 256, 16);
    prepare(world);
    int calls = 0;
    world.arena.on_call([&] {
      if (++calls == k) inner(world);
    });
    outer(world);
    world.arena.on_call({});
    if (calls < k) {  // the operation has no k-th call
      EXPECT_GT(k, 3);
      world.free();
      return;
    }
    ASSERT_EQ(world.fault(), "");
    check(world);
    world.free();
    ASSERT_EQ(world.arena.live(), 0);
    ASSERT_EQ(world.frames.held(), 0);
    if (testing::Test::HasFailure()) return;
  }
}

void nothing(World&) {}

/// Who loses must find the winner's leaf in the twin that software looks at, at once.
Error install_and_look(World& world, Index index, Level level) {
  const Error error = world.install(index, level);
  if (error == Error::none || level == Level::pte) {
    EXPECT_TRUE(world.has(index, Twin::ro)) << "not complete";
    EXPECT_TRUE(world.has(index, Twin::rw));
  }
  return error;
}

struct Pair {
  Index outer, inner;
  Level outer_level, inner_level;
};
std::string name_of(const testing::TestParamInfo<Pair>& info) {
  std::ostringstream out;
  out << info.param.outer << (info.param.outer_level == Level::pmd ? "Large" : "Small") << "And"
      << info.param.inner << (info.param.inner_level == Level::pmd ? "Large" : "Small");
  return out.str();
}

class Installers : public testing::TestWithParam<Pair> {};
INSTANTIATE_TEST_SUITE_P(
    Interleave, Installers,
    testing::Values(Pair{5, 5, Level::pte, Level::pte}, Pair{5, 6, Level::pte, Level::pte},
                    Pair{5, 600, Level::pte, Level::pte},
                    Pair{600, pages_per_tree - 1, Level::pte, Level::pte},
                    Pair{pages_per_tree - 1, 0, Level::pte, Level::pte},
                    Pair{pages_per_1g, pages_per_1g, Level::pte, Level::pte},
                    Pair{512, 512, Level::pmd, Level::pmd}, Pair{512, 600, Level::pmd, Level::pte},
                    Pair{600, 512, Level::pte, Level::pmd}, Pair{0, 5, Level::pmd, Level::pte},
                    Pair{5, 0, Level::pte, Level::pmd}, Pair{512, 1024, Level::pmd, Level::pmd}),
    name_of);

TEST_P(Installers, EachPageIsWonOnce) {
  const Pair& pair = GetParam();
  // On an empty tree, and on one that has all upper tables already.
  for (const bool grown : {false, true}) {
    Error outer{}, inner{};
    at_every_call(
        [&](World& w) {
          if (!grown) return;
          for (const Level level : {Level::pte, Level::pmd}) {
            if (pair.outer_level == level) w.install(pair.outer, level);
            if (pair.inner_level == level) w.install(pair.inner, level);
          }
          w.remove({0, pages_per_tree});
        },
        [&](World& w) { outer = install_and_look(w, pair.outer, pair.outer_level); },
        [&](World& w) { inner = install_and_look(w, pair.inner, pair.inner_level); },
        [&](World& w) {
          const bool mixed = pair.outer_level != pair.inner_level;
          const bool same = pair.outer == pair.inner ||
                            (mixed && pair.outer / pages_per_2m == pair.inner / pages_per_2m);
          EXPECT_EQ((outer == Error::none) + (inner == Error::none), same ? 1 : 2);
          EXPECT_EQ(w.image(Twin::ro).leaves.size(), same ? 1u : 2u);
          if (grown && same && mixed) {
            EXPECT_TRUE(w.image(Twin::ro).leaves.begin()->second.level == Level::pte)
                << "small pages win where their table is";
          }
        });
  }
}

TEST(Interleave, InstallMeetsGrow) {
  for (const Index index : {Index(5), Index(600), pages_per_1g})
    at_every_call(
        nothing, [&](World& w) { EXPECT_EQ(w.install(index), Error::none); },
        [](World& w) { EXPECT_TRUE(w.tree.grow(pages_per_tree - 1).ok()); },
        [&](World& w) { EXPECT_TRUE(w.right(index)); });
}

// Memory fails for the one just after the other was there.
TEST(Interleave, InstallMeetsInstallWithoutMemory) {
  for (int n = 1; n <= 8; n++) {
    Error outer{}, inner{};
    at_every_call(
        nothing, [&](World& w) { outer = w.install(pages_per_1g); },
        [&](World& w) {
          inner = w.install(pages_per_1g);
          w.arena.fail_allocation(n);
        },
        [&](World& w) {
          EXPECT_EQ((outer == Error::none) + (inner == Error::none), 1);
          EXPECT_TRUE(w.right(pages_per_1g));
        });
  }
}

/// What must hold at every moment of any operation: the way down exists, no table is gone, and
/// what is in ro is in rw, the same.
void expect_ro_within_rw(const World& world) {
  const Image rw = world.image(Twin::rw), ro = world.image(Twin::ro);
  EXPECT_EQ(rw.wrong, "");
  EXPECT_EQ(ro.wrong, "");
  for (const auto& [index, leaf] : ro.leaves) {
    const auto large = rw.leaves.find(index / pages_per_2m * pages_per_2m);
    const bool in_large = large != rw.leaves.end() && large->second.level == Level::pmd;
    EXPECT_TRUE(in_large || rw.leaves.contains(index)) << "page " << index << " in ro only";
  }
}

void watch(World& world, const std::function<void()>& look) {
  int looks = 0;
  world.arena.on_call([&world, look, looks]() mutable {
    if (testing::Test::HasFailure() || ++looks > 400) return;
    expect_ro_within_rw(world);
    look();
  });
}

class Watched : public TreeTest {};

TEST_F(Watched, Install) {
  watch(*this, [] {});
  ASSERT_TRUE(put(5) && put(512, Level::pmd) && put(pages_per_tree - 1) && put(600000));
}

TEST_F(Watched, Remove) {
  for (const bool prune : {false, true}) {
    arena.on_call({});
    for (const Index index : boundaries) install(index);
    install(4096, Level::pmd);
    watch(*this, [] {});
    remove({1, pages_per_tree}, prune);
  }
}

TEST_F(Watched, SplitKeepsEveryPageInReach) {
  ASSERT_TRUE(put(512, Level::pmd));
  watch(*this, [this] {
    for (const Twin twin : twins) {
      Leaf leaf{};
      ASSERT_TRUE(tree.lookup(twin, 700, leaf));
      ASSERT_EQ(frames.owner(leaf.pfn), 700u);
    }
  });
  ASSERT_TRUE(tree.split(512).ok());
}

TEST_F(Watched, MergeKeepsEveryPageInReach) {
  ASSERT_TRUE(fill(512));
  watch(*this, [this] {
    for (const Twin twin : twins) {
      Leaf leaf{};
      ASSERT_TRUE(tree.lookup(twin, 700, leaf));
      ASSERT_EQ(frames.owner(leaf.pfn), 700u);
    }
  });
  merge(512);
}

TEST_F(Watched, Free) {
  for (const Index index : boundaries) ASSERT_TRUE(put(index));
  watch(*this, [] {});
  free();
}

}  // namespace
}  // namespace morsel::test
