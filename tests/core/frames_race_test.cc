// SPDX-License-Identifier: MIT
//
// Threads that get and put frames of one small pool. Every frame is written to by its owner without
// any care, as its contents are: two owners, or one who comes before the last one's stores are
// done, are wrong values, and a race for TSan.
#include <gtest/gtest.h>

#include <numeric>

#include "pool.h"
#include "threads.h"

namespace morsel::test {
namespace {

constexpr unsigned threads = 4;

struct Owned {
  u64 first;
  Level level;
};

class Contents {
 public:
  explicit Contents(u64 frames) : words_(frames, 0) {}

  void take(const Owned& owned, u64 owner) {
    each(owned, [&](u64& word) {
      EXPECT_EQ(word, 0u);
      word = owner;
    });
  }
  void leave(const Owned& owned, u64 owner) {
    each(owned, [&](u64& word) {
      EXPECT_EQ(word, owner);
      word = 0;
    });
  }

 private:
  template <class Visit>
  void each(const Owned& owned, Visit&& visit) {
    for (u64 i = 0; i < pages_per_entry(owned.level); i++) visit(words_[owned.first + i]);
  }
  std::vector<u64> words_;
};

/// Gets and puts at random, with more wishes than there are frames; puts all back in the end.
void storm(u64 frames, unsigned slots, unsigned large_percent, unsigned steps) {
  Pool pool(frames, slots);
  Contents contents(frames);
  std::atomic<u64> got{0}, failed{0};
  run_threads(threads, [&](unsigned number) {
    Random random(number + frames);
    std::vector<Owned> held;
    u64 mine = 0, missed = 0;
    const auto put = [&](u64 which) {
      const Owned owned = held[which];
      held[which] = held.back();
      held.pop_back();
      contents.leave(owned, number + 1);
      EXPECT_TRUE(pool.allocator.put(owned.first, owned.level));
    };
    bool filling = true;
    for (unsigned step = 0; step < steps; step++) {
      if (random.below(100) == 0) filling = !filling;
      if (random.below(100) < (filling ? 80u : 20u)) {
        const Level level = random.below(100) < large_percent ? Level::pmd : Level::pte;
        const Result<u64> frame = pool.allocator.get(level, number);
        (frame.ok() ? mine : missed)++;
        if (!frame.ok()) continue;
        held.push_back({frame.value(), level});
        contents.take(held.back(), number + 1);
      } else if (!held.empty()) {
        put(random.below(held.size()));
      }
    }
    while (!held.empty()) put(held.size() - 1);
    got += mine;
    failed += missed;
  });
  EXPECT_GT(got, 0u);
  EXPECT_EQ(pool.allocator.free_frames(), frames);
  for (u64 area = 0; area < frames / area_frames; area++)
    EXPECT_TRUE(pool.allocator.get(Level::pmd, unsigned(area)).ok());
  for (u64 i = 0; i < frames % area_frames; i++)
    EXPECT_TRUE(pool.allocator.get(Level::pte, unsigned(i)).ok());
  EXPECT_EQ(pool.allocator.free_frames(), 0u);
}

TEST(FramesRace, ForVeryFewFrames) { storm(5, threads, 0, 30000); }
TEST(FramesRace, ForOneArea) { storm(512, threads, 5, 20000); }
TEST(FramesRace, ForFewAreas) { storm(3 * 512 + 100, 2, 10, 20000); }
TEST(FramesRace, ForManyAreas) { storm(40 * 512, threads, 10, 10000); }

// As many frames as wishes: nobody may fail, whatever the order.
TEST(FramesRace, ForExactlyEnough) {
  for (unsigned round = 0; round < 30; round++) {
    constexpr u64 each = 300;
    Pool pool(threads * each, 1 + round % threads);
    std::vector<std::atomic<int>> owners(threads * each);
    run_threads(threads, [&](unsigned number) {
      for (u64 i = 0; i < each; i++) {
        const Result<u64> frame = pool.allocator.get(Level::pte, number);
        ASSERT_TRUE(frame.ok());
        EXPECT_EQ(owners[frame.value()]++, 0);
      }
    });
    EXPECT_EQ(pool.allocator.free_frames(), 0u);
  }
}

// The walk at mount, by many at once: each frame is claimed by exactly one.
TEST(FramesRace, ForClaims) {
  constexpr u64 frames = 5 * 512 + 17;
  Pool pool(frames);
  std::atomic<u64> claimed{0};
  run_threads(threads, [&](unsigned number) {
    u64 mine = 0;
    for (u64 i = 0; i < frames; i++)
      mine += pool.allocator.claim((i * (number % 2 == 0 ? 1 : 1571) + number * 700) % frames);
    claimed += mine;
  });
  EXPECT_EQ(claimed, frames);
  EXPECT_EQ(pool.allocator.free_frames(), 0u);
  EXPECT_FALSE(pool.allocator.get(Level::pte, 0).ok());
}

}  // namespace
}  // namespace morsel::test
