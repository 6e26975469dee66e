// SPDX-License-Identifier: MIT
//
// Everything at once, as in the kernel: installers share a lock that whoever removes, splits or
// merges takes alone; readers have none; the kernel rewrites 2-MiB leaves as it likes.
#include <chrono>
#include <mutex>
#include <shared_mutex>

#include "rewriter.h"
#include "threads.h"

namespace morsel::test {
namespace {

constexpr Index slots = 6, pages = slots * pages_per_2m;
constexpr unsigned installers = 2, readers = 2;
constexpr u64 most_turns = 800;  // as many as there are frames for

struct Storm {
  explicit Storm(bool prunes)
      : prune(prunes), world(1 << 15, 1 << 19, 1 << 13), read_side(readers) {
    EXPECT_TRUE(world.tree.grow(0, Level::pmd).ok());
  }

  const bool prune;
  World world;
  std::shared_mutex removal;  // the inode's invalidate_lock
  ReadSide read_side;
  std::atomic<bool> over{false};
  std::mutex gate;  // so that the changer gets in: glibc's lock prefers those who share it
  std::atomic<bool> wanted{false};

  void install(Random& random) {
    while (!over) {
      if (wanted) const std::lock_guard queue(gate);
      const std::shared_lock guard(removal);
      const Index index = random.below(pages), slot = index / pages_per_2m * pages_per_2m;
      if (random.below(4) == 0) {
        if (world.tree.subtree(Twin::rw, slot, Level::pmd).kind == Subtree::Kind::none)
          world.install(slot, Level::pmd);
        continue;
      }
      // Nobody removes now: won or lost, the page is there.
      if (!world.has(index)) world.install(index);
      ASSERT_TRUE(world.has(index, Twin::ro) && world.has(index, Twin::rw)) << index;
    }
  }

  /// No lock: a page may come and go, but its frame is always one taken for it.
  void read(Random& random, unsigned reader) {
    while (!over) {
      const Index index = random.below(pages);
      for (const Twin twin : twins) {
        Leaf leaf{};
        if (!world.tree.lookup(twin, index, leaf)) continue;
        ASSERT_EQ(world.frames.owner(leaf.pfn), index);
      }
      const Index next = world.tree.next({index, pages}, random.below(2) == 0);
      ASSERT_TRUE(index <= next && next <= pages);
      u64 entries[4];
      world.tree.run(Twin::ro, index, 4, entries);
      world.tree.full(index / pages_per_2m * pages_per_2m);
      read_side.rest(reader);
    }
    read_side.leave(reader);
  }

  void change(Random& random) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
    for (u64 turn = 0; turn < most_turns && std::chrono::steady_clock::now() < end; turn++) {
      if (testing::Test::HasFailure()) return;
      std::this_thread::yield();
      {
        const std::lock_guard queue(gate);
        wanted = true;
        const std::unique_lock guard(removal);
        wanted = false;
        const Index slot = random.below(slots) * pages_per_2m;
        switch (random.below(5)) {
          case 0:
            ASSERT_TRUE(world.tree.split(slot + random.below(pages_per_2m)).ok());
            break;
          case 1:
            merge(slot);
            break;
          case 2:
            promote(slot);
            break;
          default:
            remove(random, slot);
        }
      }
      if (turn % 16 != 0) continue;
      read_side.wait();
      world.arena.reclaim();
    }
  }

  void merge(Index slot) {
    for (Index i = slot; i < slot + pages_per_2m; i++)
      if (!world.has(i)) world.install(i);
    if (world.tree.full(slot)) world.merge(slot);
  }

  /// The kernel may go on to rewrite leaves in the table that has retired.
  void promote(Index slot) {
    for (Index i = slot; i < slot + pages_per_2m; i++)
      if (!world.has(i)) world.install(i);
    if (!world.tree.full(slot)) return;
    ASSERT_EQ(world.promote(slot), Error::none);
  }

  void remove(Random& random, Index slot) {
    Range range{slot, slot + pages_per_2m};
    if (random.below(2) == 0) {
      range = {slot + random.below(256), slot + 256 + random.below(257)};
      ASSERT_TRUE(world.tree.split(slot).ok());
    }
    world.remove(range, prune);
    for (Index i = range.first; i < range.last; i++)
      ASSERT_FALSE(world.has(i, Twin::ro) || world.has(i, Twin::rw)) << "page " << i << " is back";
  }

  /// Both twins have a table for all slots, which stays.
  void rewrite(Random& random) {
    Table* table[2];
    for (const Twin twin : twins)
      table[unsigned(twin)] = world.arena.table_at(world.tree.subtree(twin, 0, Level::pud).value);
    while (!over) {
      rewrite_leaf(world.arena, table[random.below(2)], random.below(slots),
                   [] { std::this_thread::yield(); });
      std::this_thread::yield();
    }
  }

  void run(bool with_kernel) {
    run_threads(1 + installers + readers + with_kernel, [&](unsigned number) {
      Random random(number + 100);
      if (number == 0) {
        change(random);
        over = true;
      } else if (number <= installers) {
        install(random);
      } else if (number <= installers + readers) {
        read(random, number - installers - 1);
      } else {
        rewrite(random);
      }
      if (testing::Test::HasFailure()) over = true;
    });
    if (!with_kernel) {  // the kernel's leaves are old: A=0
      EXPECT_EQ(world.fault(), "");
    }
    EXPECT_EQ(world.image(Twin::rw).leaves, world.image(Twin::ro).leaves);
    world.free();
    EXPECT_EQ(world.arena.live(), 0);
    EXPECT_EQ(world.frames.held(), 0);
  }
};

TEST(Storm, WhileMapped) { Storm(/*prunes=*/false).run(false); }
TEST(Storm, WithPruning) { Storm(/*prunes=*/true).run(false); }
TEST(Storm, WithTheKernelsRewrites) { Storm(/*prunes=*/false).run(true); }
TEST(Storm, WithPruningAndRewrites) { Storm(/*prunes=*/true).run(true); }

}  // namespace
}  // namespace morsel::test
