// SPDX-License-Identifier: MIT
//
// A pool that is found at another base, and a power cut at every store while it moves.
#include <gtest/gtest.h>

#include "pool.h"

namespace morsel::core::pool::test {
namespace {

constexpr Phys bases[] = {0x1000, 0x2000, 0x1400000000, (1UL << 52) - 514 * frame_bytes};

struct RebaseTest : testing::Test {
  Pool pool{96};
  Sample has = sample(pool);

  void expect_all(Pool& in, Phys base) {
    EXPECT_TRUE(in.seen.findings.empty());
    EXPECT_EQ(in.sb.base, base);
    EXPECT_EQ(in.sb.phase, Phase::settled);
    for (Index i = 0; i < 5; i++) EXPECT_EQ(in.read(has.file, i), int(1 + i));
    EXPECT_EQ(in.read(has.tall, 0), 10);
    EXPECT_EQ(in.read(has.tall, 700), 11);
    EXPECT_EQ(in.read(has.sparse, 17), 12);
    EXPECT_EQ(in.read(has.inner, 3), 13);
    ASSERT_TRUE(in.mount(Mending::none).ok());
    EXPECT_TRUE(in.seen.findings.empty()) << "on the medium, too";
  }
};

TEST_F(RebaseTest, ThereAndBackAgain) {
  Memory before = pool.media;
  for (const Phys base : bases) {
    ASSERT_TRUE(pool.mount(Mending::leftovers, base).ok());
    expect_all(pool, base);
  }
  ASSERT_TRUE(pool.mount(Mending::leftovers, first_base).ok());
  EXPECT_TRUE(pool.recovery.moved);
  expect_all(pool, first_base);
  for (Frame frame = log_frame; frame < pool.media.frames(); frame++)
    EXPECT_EQ(std::memcmp(pool.media.at(frame), before.at(frame), 16), 0) << frame;
}

TEST_F(RebaseTest, NothingMovesWhereNothingMayBeWritten) {
  const Memory before = pool.media;
  EXPECT_EQ(pool.mount(Mending::none, first_base + frame_bytes).error(), Error::unsupported);
  EXPECT_TRUE(pool.media == before);
}

TEST_F(RebaseTest, ADamagedPoolDoesNotMove) {
  *pool.entry(has.file, 1, Twin::ro) |= 8;
  const Memory before = pool.media;
  EXPECT_EQ(pool.mount(Mending::leftovers, first_base + frame_bytes).error(), Error::damaged);
  EXPECT_TRUE(pool.media == before);
  EXPECT_EQ(pool.seen.count_of(Finding::Kind::bad_leaf), 1u);
  ASSERT_TRUE(pool.mount(Mending::damage, first_base + frame_bytes).ok());
  EXPECT_EQ(pool.read(has.file, 1), 2);
  ASSERT_TRUE(pool.mount(Mending::none).ok());
  EXPECT_TRUE(pool.seen.findings.empty());
  EXPECT_EQ(pool.sb.base, first_base + frame_bytes);
}

TEST_F(RebaseTest, LeftoversAreMendedOnTheWay) {
  *pool.entry(has.file, 1, Twin::ro) = 0;
  *pool.entry(has.file, 2, Twin::rw) &= ~media_format().dirty;
  ASSERT_TRUE(pool.mount(Mending::leftovers, first_base * 2).ok());
  EXPECT_EQ(pool.read(has.file, 1), -1);
  EXPECT_EQ(pool.read(has.file, 2), 3);
  ASSERT_TRUE(pool.mount(Mending::none).ok());
  EXPECT_TRUE(pool.seen.findings.empty());
}

/// Moves until the power goes after `stores` stores; false if it lasted.
bool cut_move(Pool& pool, Phys base, u64 stores) {
  pool.media.cut_after(stores);
  bool cut = false;
  try {
    must(pool.mount(Mending::leftovers, base));
  } catch (const PowerCut&) {
    cut = true;
  }
  pool.media.cut_after(~0UL);
  return cut;
}

TEST_F(RebaseTest, GoesOnAfterAPowerCutAtAnyStore) {
  const Phys second = 0x7000, third = 1UL << 40;
  unsigned phases[3] = {};
  for (u64 stores = 0;; stores++) {
    Pool moving = pool;
    if (!cut_move(moving, second, stores)) {
      EXPECT_GT(stores, 60u);
      break;
    }
    unsigned whole = 0;
    phases[unsigned(must(read_superblock(moving.media, whole)).phase)]++;
    for (const Phys base : {second, first_base, third}) {
      Pool next = moving;
      ASSERT_TRUE(next.mount(Mending::leftovers, base).ok()) << stores;
      expect_all(next, base);
    }
    Pool repaired = moving;
    ASSERT_TRUE(repaired.mount(Mending::damage).ok()) << stores;
    expect_all(repaired, repaired.sb.base);
  }
  for (const unsigned count : phases) EXPECT_GT(count, 0u) << "cut in every phase";
}

TEST_F(RebaseTest, IsCutAgainAndAgainAtOtherBases) {
  for (u64 first = 3; first < 120; first += 13) {
    for (u64 second = 1; second < 120; second += 17) {
      Pool moving = pool;
      (void)cut_move(moving, 0x7000, first);
      (void)cut_move(moving, 1UL << 40, second);
      (void)cut_move(moving, 1UL << 41, first + second);
      ASSERT_TRUE(moving.mount(Mending::leftovers, 1UL << 42).ok()) << first << ' ' << second;
      expect_all(moving, 1UL << 42);
    }
  }
}

}  // namespace
}  // namespace morsel::core::pool::test
