// SPDX-License-Identifier: MIT
//
// Readers that follow installers without any lock: what is once there stays, a page in ro is in
// rw, and a frame's contents are there before the frame is.
#include "threads.h"

namespace morsel::test {
namespace {

constexpr unsigned writers = 2, readers = 2;

/// Page number `n` of those installed: mostly a sequence, with jumps that make the tree grow.
Index page(u64 n) { return n % 512 + n / 512 * (1UL << (9 * (n / 512) % 27)) / 2 * 512; }

void expect_owned(const World& world, Twin twin, Index index) {
  Leaf leaf{};
  ASSERT_TRUE(world.tree.lookup(twin, index, leaf)) << index;
  ASSERT_EQ(world.frames.owner(leaf.pfn), index);
}

TEST(Readers, FollowInstallers) {
  constexpr u64 pages = 4000;
  World world(256, writers * pages);
  std::atomic<u64> done{0};  // so many are installed
  run_threads(writers + readers, [&](unsigned number) {
    if (number < writers) {
      for (u64 n = 0; n < pages; n++) {
        world.install(page(n));
        // Both go the same way; after its return a page is there, whoever won it.
        u64 seen = done.load(std::memory_order_relaxed);
        while (seen < n + 1 && !done.compare_exchange_weak(seen, n + 1)) {
        }
      }
      return;
    }
    Random random(number);
    for (u64 known = 0; known < pages && !testing::Test::HasFailure();) {
      known = done.load(std::memory_order_acquire);
      if (known > 0) expect_owned(world, Twin::ro, page(random.below(known)));
      // A little ahead: perhaps there, but then wholly.
      for (u64 n = known; n < known + 3; n++)
        if (world.has(page(n), Twin::ro)) expect_owned(world, Twin::rw, page(n));
    }
  });
  EXPECT_EQ(world.fault(), "");
  world.free();
}

TEST(Readers, OfRunsAndSlotsSeeWholeEntries) {
  constexpr Index slots = 200;
  World world(1024, 1 << 14, 1 << 10);
  std::atomic<unsigned> writing{writers};
  run_threads(writers + readers, [&](unsigned number) {
    const Format& format = world.arena.format();
    if (number < writers) {
      for (Index i = 0; i < slots; i++) {
        const Index slot = i * pages_per_2m;
        if (i % 2 == 0)
          world.install(slot, Level::pmd);
        else
          for (Index p = 0; p < 20; p++) world.install(slot + p);
      }
      writing--;
      return;
    }
    Random random(number);
    while (writing != 0 && !testing::Test::HasFailure()) {
      const Index slot = random.below(slots) * pages_per_2m;
      for (const Twin twin : twins) {
        u64 entries[8];
        const u64 found = world.tree.run(twin, slot, 8, entries);
        u64 count = 0;
        for (Index i = 0; i < 8; i++) {
          if (entries[i] == 0) continue;
          count++;
          ASSERT_EQ(world.frames.owner(format.pfn(entries[i])), slot + i);
          ASSERT_EQ(entries[i], format.make_leaf(twin, format.pfn(entries[i]), Level::pte));
        }
        ASSERT_EQ(found, count);
        const Subtree below = world.tree.subtree(twin, slot, Level::pmd);
        if (below.kind == Subtree::Kind::leaf) {
          ASSERT_EQ(world.frames.owner(format.pfn(below.value)), slot);
        } else if (below.kind == Subtree::Kind::table) {
          ASSERT_TRUE(world.arena.is_live(world.arena.table_at(below.value)));
        }
      }
      world.tree.full(slot);
      const Index data = world.tree.next({slot, slot + 4 * pages_per_2m}, true);
      if (data < slot + 4 * pages_per_2m) expect_owned(world, Twin::rw, data);
    }
  });
  EXPECT_EQ(world.fault(), "");
  world.free();
}

}  // namespace
}  // namespace morsel::test
