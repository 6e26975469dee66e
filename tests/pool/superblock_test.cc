// SPDX-License-Identifier: MIT
//
// The two copies of the superblock, and what a new pool looks like.
#include <gtest/gtest.h>

#include "pool.h"

namespace morsel::core::pool::test {
namespace {

struct SuperblockTest : testing::Test {
  Pool pool{64};
  unsigned whole = 0;

  Superblock* copy(unsigned i) { return in_frame<Superblock>(pool.media, superblock_frame[i]); }
  Result<Superblock> read() { return read_superblock(pool.media, whole); }
  void write_copy(unsigned i, Superblock sb) {
    sb.crc = crc_of(sb);
    *copy(i) = sb;
  }
  /// In both copies.
  template <class Change>
  void change(Change&& change) {
    for (unsigned i = 0; i < 2; i++) {
      Superblock sb = *copy(i);
      change(sb);
      write_copy(i, sb);
    }
  }
};

TEST(Crc, IsCastagnolis) {
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);
  EXPECT_EQ(crc32c("6789", 4, crc32c("12345", 5)), 0xe3069283u) << "in two pieces";
}

TEST(Crc, IsThatOfEachBitAfterTheOther) {
  u32 expected = ~0U, seen = 0;
  for (unsigned i = 0; i < 256; i++) {
    const u8 byte = u8(i);
    expected ^= byte;
    for (int bit = 0; bit < 8; bit++)
      expected = (expected & 1) != 0 ? expected >> 1 ^ 0x82f63b78 : expected >> 1;
    seen = crc32c(&byte, 1, seen);
    ASSERT_EQ(seen, ~expected) << i;
  }
}

TEST_F(SuperblockTest, ANewPoolIsEmptySettledAndClean) {
  const Result<Superblock> sb = read();
  ASSERT_TRUE(sb.ok());
  EXPECT_EQ(whole, 2u);
  EXPECT_EQ(sb.value().frames, 64u);
  EXPECT_EQ(sb.value().base, first_base);
  EXPECT_EQ(sb.value().phase, Phase::settled);
  EXPECT_EQ(sb.value().clean, 1u);
  EXPECT_TRUE(pool.seen.findings.empty());
  EXPECT_TRUE(pool.seen.objects.empty());
  EXPECT_EQ(pool.frames().used(), first_free_frame);
  EXPECT_EQ(pool.attributes(root_inode_frame).mode, 0755u);
}

TEST_F(SuperblockTest, AWritingSparesTheCopyThatCounts) {
  for (int i = 0; i < 3; i++) {
    const Superblock before = read().value();
    const Superblock kept = *copy(before.generation % 2);
    Superblock next = before;
    next.clean = i % 2;
    write_superblock(pool.media, next);
    EXPECT_EQ(std::memcmp(&kept, copy(before.generation % 2), sizeof(kept)), 0);
    EXPECT_EQ(read().value().generation, before.generation + 1);
    EXPECT_EQ(read().value().clean, u32(i % 2));
  }
}

TEST_F(SuperblockTest, AnyBitThatIsWrongMakesTheOtherCopyCount) {
  const Superblock good = read().value();
  const unsigned newer = good.generation % 2;
  for (u64 bit = 0; bit < 8 * sizeof(Superblock); bit++) {
    u8* byte = reinterpret_cast<u8*>(copy(newer)) + bit / 8;
    *byte ^= 1U << bit % 8;
    const Result<Superblock> sb = read();
    ASSERT_TRUE(sb.ok()) << bit;
    ASSERT_EQ(whole, 1u) << bit;
    ASSERT_EQ(sb.value().generation, good.generation - 1) << bit;
    *byte ^= 1U << bit % 8;
  }
}

TEST_F(SuperblockTest, WithoutAWholeCopyItIsNoPool) {
  copy(0)->label[0]++;
  copy(1)->label[0]++;
  EXPECT_EQ(read().error(), Error::not_a_pool);
  EXPECT_EQ(whole, 0u);
  Memory empty(64);
  EXPECT_EQ(read_superblock(empty, whole).error(), Error::not_a_pool);
  Memory small(least_frames - 1);
  EXPECT_EQ(read_superblock(small, whole).error(), Error::not_a_pool);
}

TEST_F(SuperblockTest, ACopyInTheOthersPlaceDoesNotCount) {
  Superblock sb = read().value();
  const unsigned newer = sb.generation % 2;
  sb.generation += 1001;  // what counts would be the copy that the next writing goes to
  write_copy(newer, sb);
  EXPECT_EQ(read().value().generation, sb.generation - 1002);
  EXPECT_EQ(whole, 1u);
}

TEST_F(SuperblockTest, UnknownVersionsAndFeaturesAreRefused) {
  change([](Superblock& sb) { sb.version = 2; });
  EXPECT_EQ(read().error(), Error::unsupported);
  change([](Superblock& sb) { sb.version = 1, sb.incompat = 1UL << 40; });
  EXPECT_EQ(read().error(), Error::unsupported);
  change([](Superblock& sb) { sb.incompat = 0, sb.compat = 1, sb.ro_compat = 2; });
  EXPECT_TRUE(read().ok());
}

TEST_F(SuperblockTest, WhatCannotBeIsDamage) {
  const Superblock good = read().value();
  const auto refused = [&](auto&& wrong) {
    change(wrong);
    const Error error = read().error();
    for (unsigned i = 0; i < 2; i++) {
      Superblock sb = good;
      sb.generation += good.generation % 2 == i ? 0 : 1;
      write_copy(i, sb);
    }
    return error == Error::damaged;
  };
  EXPECT_TRUE(refused([](Superblock& sb) { sb.frames = 65; })) << "more than the medium has";
  EXPECT_TRUE(refused([](Superblock& sb) { sb.frames = least_frames - 1; }));
  EXPECT_TRUE(refused([](Superblock& sb) { sb.frames = ~0UL; }));
  EXPECT_TRUE(refused([](Superblock& sb) { sb.base = 1; }));
  EXPECT_TRUE(refused([](Superblock& sb) { sb.base = 1UL << 52; }));
  EXPECT_TRUE(refused([](Superblock& sb) { sb.base = (1UL << 52) - 63 * frame_bytes; }));
  EXPECT_TRUE(refused([](Superblock& sb) { sb.phase = Phase(3); }));
  EXPECT_TRUE(refused([](Superblock& sb) { sb.clean = 2; }));
  EXPECT_TRUE(read().ok());
}

TEST_F(SuperblockTest, APoolMayBeSmallerThanItsMedium) {
  change([](Superblock& sb) { sb.frames = 32; });
  EXPECT_TRUE(read().ok());
  Seen seen(64);
  Superblock sb = read().value();
  Recovery done{};
  EXPECT_EQ(recover(pool.media, seen, sb, sb.base, Mending::none, done).error(), Error::unsupported)
      << "whoever mounts it says how many frames there are";
}

TEST_F(SuperblockTest, MakingOneIsAllOrNothing) {
  for (u64 stores = 0;; stores++) {
    Memory media(64);
    std::memset(media.at(0), 0xa5, media.size());
    media.cut_after(stores);
    Superblock sb{};
    sb.frames = 64;
    NewInode root{};
    bool cut = false;
    try {
      make_pool(media, sb, root);
    } catch (const PowerCut&) {
      cut = true;
    }
    const Result<Superblock> made = read_superblock(media, whole);
    if (made.ok()) {
      Seen seen(64);
      Recovery done{};
      sb = made.value();
      EXPECT_TRUE(recover(media, seen, sb, 0, Mending::none, done).ok()) << stores;
      EXPECT_TRUE(seen.findings.empty()) << stores;
    } else {
      EXPECT_EQ(made.error(), Error::not_a_pool) << stores;
    }
    if (!cut) break;
    ASSERT_LT(stores, 100u);
  }
}

}  // namespace
}  // namespace morsel::core::pool::test
