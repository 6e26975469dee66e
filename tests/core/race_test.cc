// SPDX-License-Identifier: MIT
//
// Installers, growers and a promotion that race without any lock: every page is won exactly once,
// who loses finds the winner's page in both twins at once, and afterwards the twins are equal.
#include <algorithm>

#include "threads.h"

namespace morsel::test {
namespace {

constexpr unsigned racers = 4;

/// Installs and checks what any installer may rely on. True if this one won the page.
bool compete(World& world, Index index, Level level) {
  const Error error = world.install(index, level);
  EXPECT_TRUE(error == Error::none || error == Error::occupied);
  if (level == Level::pmd && error != Error::none) return false;  // perhaps only a table as yet
  Leaf ro{}, rw{};
  EXPECT_TRUE(world.tree.lookup(Twin::ro, index, ro)) << index << " not in ro";
  EXPECT_TRUE(world.tree.lookup(Twin::rw, index, rw)) << index << " not in rw";
  EXPECT_TRUE(ro.pfn == rw.pfn && world.frames.owner(ro.pfn) == index);
  return error == Error::none;
}

/// Every racer installs all the pages, each in an order of its own or all in the same.
void race_for(const std::vector<Index>& pages, bool same_order, unsigned round) {
  World world(2048, racers * pages.size(), 1);
  std::vector<std::atomic<int>> wins(pages.size());
  run_threads(racers, [&](unsigned number) {
    std::vector<u64> order(pages.size());
    for (u64 i = 0; i < order.size(); i++) order[i] = i;
    if (!same_order)
      std::shuffle(order.begin(), order.end(), std::mt19937_64(round * racers + number));
    for (const u64 i : order) wins[i] += compete(world, pages[i], Level::pte);
  });
  for (u64 i = 0; i < pages.size(); i++) EXPECT_EQ(wins[i], 1) << "page " << pages[i];
  EXPECT_EQ(world.fault(), "");  // equal leaves; tables may differ where racers grew the tree
  EXPECT_EQ(world.frames.held(), long(pages.size()));
  world.free();
  EXPECT_EQ(world.arena.live(), 0);
}

TEST(Race, ForTheSamePages) {
  for (unsigned round = 0; round < 20; round++) {
    std::vector<Index> pages;
    for (Index i = 0; i < 700; i++) pages.push_back(i);
    race_for(pages, round % 2 == 0, round);
  }
}

TEST(Race, WhileTheTreeGrows) {
  for (unsigned round = 0; round < 150; round++)
    race_for({std::begin(boundaries), std::end(boundaries)}, round % 2 == 0, round);
}

TEST(Race, ForTablesEverywhere) {
  for (unsigned round = 0; round < 20; round++) {
    std::vector<Index> pages;
    for (Index i = 0; i < 60; i++) pages.push_back(i * 1237 * pages_per_2m % pages_per_tree + i);
    race_for(pages, round % 2 == 0, round);
  }
}

TEST(Race, OfGrowers) {
  for (unsigned round = 0; round < 200; round++) {
    World world(64, 1, 1);
    run_threads(racers, [&](unsigned number) {
      const Index index = boundaries[(round + 3 * number) % std::size(boundaries)];
      EXPECT_TRUE(world.tree.grow(index).ok());
      for (const Twin twin : twins)
        EXPECT_LT(index, pages_per_table(Level(world.root_level(twin))));
    });
    EXPECT_EQ(world.fault(), "");
    // Not the same tables: who comes first with a tall tree needs no small root below it.
    EXPECT_EQ(world.root_level(Twin::rw), world.root_level(Twin::ro));
    world.free();
    EXPECT_EQ(world.arena.live(), 0);
  }
}

/// A fault makes the tree taller, whoever else is at it.
TEST(Race, OfPromotionAndGrowth) {
  for (unsigned round = 0; round < 100; round++) {
    World world(64, 4, 1);
    EXPECT_TRUE(world.put(512) && world.put(1024));
    run_threads(racers, [&](unsigned number) {
      if (number == 0) {
        EXPECT_EQ(world.promote(512), Error::none);
      } else if (number == 1) {
        for (int i = 0; i < 20; i++)
          for (const Twin twin : twins) EXPECT_TRUE(world.has(1024, twin));
      } else {
        EXPECT_TRUE(world.tree.grow(boundaries[(round + number) % std::size(boundaries)]).ok());
      }
    });
    EXPECT_TRUE(world.right(512, Level::pmd) && world.right(1024));
    EXPECT_EQ(world.fault(), "");
    world.free();
    EXPECT_EQ(world.arena.live(), 0);
  }
}

TEST(Race, OfSmallAgainstLarge) {
  constexpr Index slots = 48, first = pages_per_1g - 24 * pages_per_2m;
  for (unsigned round = 0; round < 15; round++) {
    World world(1024);
    std::vector<std::atomic<int>> large(slots), small(slots * 2);
    run_threads(racers, [&](unsigned number) {
      for (Index i = 0; i < slots; i++) {
        const Index slot = first + i * pages_per_2m;
        if (number % 2 == 0) {
          large[i] += compete(world, slot, Level::pmd);
        } else {
          small[2 * i] += compete(world, slot, Level::pte);
          small[2 * i + 1] += compete(world, slot + 511, Level::pte);
        }
      }
    });
    for (Index i = 0; i < slots; i++) {
      EXPECT_EQ(large[i] + small[2 * i], 1) << "slot " << i;
      EXPECT_EQ(large[i] + small[2 * i + 1], 1) << "slot " << i;
    }
    EXPECT_EQ(world.fault(), "");
    world.free();
    EXPECT_EQ(world.arena.live(), 0);
    EXPECT_EQ(world.frames.held(), 0);
  }
}

// One racer's allocations fail now and then; the others must not notice.
TEST(Race, WhenMemoryIsShort) {
  for (unsigned round = 0; round < 60; round++) {
    World world;
    std::atomic<u64> won{0};
    run_threads(racers, [&](unsigned number) {
      for (Index i = 0; i < 40; i++) {
        const Index index = (i + number) % 40 * 300;
        if (number == 0) world.arena.fail_allocation(long(i % 5) + 1);
        Error error = Error::no_memory;
        while (error == Error::no_memory) error = world.install(index);
        won += error == Error::none;
        EXPECT_TRUE(world.has(index, Twin::ro));
      }
    });
    EXPECT_EQ(won, 40u);
    EXPECT_EQ(world.fault(), "");
    world.free();
    EXPECT_EQ(world.arena.live(), 0);
  }
}

}  // namespace
}  // namespace morsel::test
