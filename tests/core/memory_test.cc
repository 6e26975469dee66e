// SPDX-License-Identifier: MIT
//
// Memory runs out at every allocation in turn: nothing half done, nothing leaked, and a second
// try succeeds.
#include <functional>
#include <vector>

#include "world.h"

namespace morsel::test {
namespace {

struct Scenario {
  const char* name;
  std::function<void(World&)> prepare;
  std::function<Error(World&)> act;
  int allocations;  ///< how many it takes; so it can fail in as many ways
};

void nothing(World&) {}

const Scenario scenarios[] = {
    {"FirstPage", nothing, [](World& w) { return w.install(1); }, 2},
    {"FirstPageFarOut", nothing, [](World& w) { return w.install(pages_per_tree - 1); }, 8},
    {"FirstLarge", nothing, [](World& w) { return w.install(512, Level::pmd); }, 2},
    {"LargeFarOut", nothing, [](World& w) { return w.install(pages_per_tree - 512, Level::pmd); },
     6},
    {"GrowOverAPage", [](World& w) { w.put(1); },
     [](World& w) { return w.install(pages_per_tree - 1); }, 12},
    {"GrowOnly", [](World& w) { w.put(1); },
     [](World& w) { return w.tree.grow(pages_per_tree - 1).error(); }, 6},
    {"Neighbour", [](World& w) { w.put(512); }, [](World& w) { return w.install(1024); }, 2},
    {"AfterPrune",
     [](World& w) {
       w.put(pages_per_1g);
       w.remove({pages_per_1g, 2 * pages_per_1g}, true);
     },
     [](World& w) { return w.install(pages_per_1g); }, 4},
    {"GrowForMerge", [](World& w) { w.fill(0); },
     [](World& w) { return w.tree.grow(0, Level::pmd).error(); }, 2},
    {"LargeBesideSmall", [](World& w) { w.put(pages_per_1g); },
     [](World& w) { return w.install(3 * pages_per_1g + 512, Level::pmd); }, 2},
    {"Split", [](World& w) { w.put(512, Level::pmd); },
     [](World& w) { return w.tree.split(512).error(); }, 2},
};

class Memory : public testing::TestWithParam<Scenario> {};
INSTANTIATE_TEST_SUITE_P(RunsOut, Memory, testing::ValuesIn(scenarios),
                         [](const auto& info) { return info.param.name; });

TEST_P(Memory, AtEveryAllocation) {
  const Scenario& scenario = GetParam();
  for (int n = 1; n <= scenario.allocations + 1; n++) {
    World world;
    scenario.prepare(world);
    ASSERT_EQ(world.fault(), "");
    const Leaves before = world.image(Twin::ro).leaves;
    const long held = world.frames.held();

    world.arena.fail_allocation(n);
    const Error error = scenario.act(world);
    world.arena.fail_allocation(0);
    ASSERT_EQ(world.fault(), "") << "at allocation " << n;
    if (n > scenario.allocations) {
      ASSERT_EQ(error, Error::none) << "takes more allocations than it should";
    } else {
      ASSERT_EQ(error, Error::no_memory) << n;
      ASSERT_EQ(world.image(Twin::ro).leaves, before) << n;
      ASSERT_EQ(world.frames.held(), held) << n;
      ASSERT_EQ(scenario.act(world), Error::none) << n;
      ASSERT_EQ(world.fault(), "");
      // What the failure left behind makes the twins' tables no different in the end.
      ASSERT_EQ(world.image(Twin::rw).tables, world.image(Twin::ro).tables) << n;
    }
    world.free();
    ASSERT_EQ(world.arena.live(), 0) << n;
    ASSERT_EQ(world.frames.held(), 0) << n;
  }
}

// Fails between the twins: rw has an empty table where ro has nothing.
TEST(MemoryLopsided, TreesWorkOn) {
  for (int n = 1; n <= 3; n++) {
    World world(64);
    ASSERT_TRUE(world.tree.grow(pages_per_1g - 1).ok());
    world.arena.fail_allocation(2);
    ASSERT_EQ(world.install(512), Error::no_memory);
    ASSERT_NE(world.image(Twin::rw).tables, world.image(Twin::ro).tables);
    EXPECT_FALSE(world.has(512) || world.has(512, Twin::rw) || world.tree.full(512));
    EXPECT_EQ(world.tree.next({0, 4096}, true), 4096u);
    if (n == 1) world.remove({0, 4096}, false);
    if (n == 2) world.remove({0, 4096}, true);
    if (n == 3) {
      EXPECT_TRUE(world.fill(512));
    }
    EXPECT_EQ(world.fault(), "");
    world.free();
    EXPECT_EQ(world.arena.live(), 0);
  }
}

}  // namespace
}  // namespace morsel::test
