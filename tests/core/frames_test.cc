// SPDX-License-Identifier: MIT
//
// The frame allocator by itself: what it gives, what it takes back, and what that costs.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "pool.h"

namespace morsel::test {
namespace {

/// Takes frames until there are none, and returns how many; none twice.
u64 drain(FrameAllocator& allocator, Level level, unsigned slot = 0) {
  std::vector<bool> seen(1 << 20);
  for (u64 count = 0;; count++) {
    const Result<u64> frame = allocator.get(level, slot);
    if (!frame.ok()) {
      EXPECT_EQ(frame.error(), Error::no_space);
      return count;
    }
    EXPECT_EQ(frame.value() % pages_per_entry(level), 0u);
    EXPECT_FALSE(seen[frame.value()]) << frame.value() << " twice";
    EXPECT_TRUE(allocator.is_used(frame.value()));
    seen[frame.value()] = true;
  }
}

// 0, around an area, around a node of the sets (32 areas), and three levels of them.
const u64 sizes[] = {0,   1,   63,   64,       65,           511,
                     512, 513, 1024, 32 * 512, 32 * 512 + 1, 1030 * 512 + 77};

TEST(Frames, AreAllFreeAtFirst) {
  for (const u64 frames : sizes) {
    SCOPED_TRACE(frames);
    for (const u64 dirt : {0UL, ~0UL, 0x5555aaaa12345678UL}) {
      Pool pool(frames, 3, dirt);
      EXPECT_EQ(pool.allocator.free_frames(), frames);
      for (u64 frame = 0; frame < std::min(frames, 2048UL); frame++)
        ASSERT_FALSE(pool.allocator.is_used(frame));
      for (u64 beyond = frames; beyond < frames + 600; beyond++)
        ASSERT_TRUE(pool.allocator.is_used(beyond));
    }
  }
}

TEST(Frames, StorageIsInLinesAndKeptTo) {
  for (const u64 frames : sizes)
    for (const unsigned slots : {0U, 1U, 8U, 300U}) {
      const u64 bytes = FrameAllocator::storage_bytes(frames, slots);
      EXPECT_EQ(bytes % 64, 0u);
      std::vector<u64> storage(bytes / sizeof(u64) + 8, 77);
      FrameAllocator allocator;
      allocator.init(storage.data(), frames, slots);
      for (u64 i = 0; i < 5; i++)
        EXPECT_EQ(allocator.get(Level::pte, unsigned(i)).ok(), i < frames);
      for (u64 i = bytes / sizeof(u64); i < storage.size(); i++) EXPECT_EQ(storage[i], 77u);
    }
}

TEST(Frames, AreAllGivenOnce) {
  for (const u64 frames : sizes) {
    SCOPED_TRACE(frames);
    Pool pool(frames, 3);
    EXPECT_EQ(drain(pool.allocator, Level::pte, 1), frames);
    EXPECT_EQ(pool.allocator.free_frames(), 0u);
    EXPECT_FALSE(pool.allocator.get(Level::pmd, 0).ok());
  }
}

TEST(Frames, LargeOnesAreAlignedAndWhole) {
  for (const u64 frames : sizes) {
    SCOPED_TRACE(frames);
    Pool pool(frames, 3);
    EXPECT_EQ(drain(pool.allocator, Level::pmd, 2), frames / area_frames);
    EXPECT_EQ(pool.allocator.free_frames(), frames % area_frames);
    EXPECT_EQ(drain(pool.allocator, Level::pte, 1), frames % area_frames);
  }
}

TEST(Frames, OtherLevelsAreRefused) {
  Pool pool(1024);
  EXPECT_FALSE(pool.allocator.get(Level::pud, 0).ok());
  EXPECT_FALSE(pool.allocator.put(0, Level::pud));
  EXPECT_EQ(pool.allocator.free_frames(), 1024u);
}

TEST(Frames, AreClaimedOnce) {
  Pool pool(1000);
  for (const u64 frame : {0UL, 63UL, 64UL, 511UL, 512UL, 999UL}) {
    EXPECT_TRUE(pool.allocator.claim(frame));
    EXPECT_TRUE(pool.allocator.is_used(frame));
    EXPECT_FALSE(pool.allocator.claim(frame));
  }
  for (const u64 beyond : {1000UL, 1023UL, 1024UL, 1UL << 40, ~0UL})
    EXPECT_FALSE(pool.allocator.claim(beyond));
  EXPECT_EQ(pool.allocator.free_frames(), 994u);
  EXPECT_EQ(drain(pool.allocator, Level::pmd), 0u);
  EXPECT_EQ(drain(pool.allocator, Level::pte), 994u);
}

TEST(Frames, WhatWasGottenCannotBeClaimed) {
  Pool pool(1024);
  const u64 large = pool.allocator.get(Level::pmd, 0).value();
  const u64 small = pool.allocator.get(Level::pte, 0).value();
  EXPECT_FALSE(pool.allocator.claim(small));
  for (u64 i = 0; i < area_frames; i++) EXPECT_FALSE(pool.allocator.claim(large + i));
  EXPECT_EQ(pool.allocator.free_frames(), 511u);
}

TEST(Frames, PutFindsWhatIsFreeAlready) {
  Pool pool(1000);
  FrameAllocator& allocator = pool.allocator;
  EXPECT_FALSE(allocator.put(5, Level::pte));
  EXPECT_FALSE(allocator.put(0, Level::pmd));
  const u64 large = allocator.get(Level::pmd, 0).value();
  for (const u64 wrong : {large + 1, 512UL, 1000UL, 1024UL, ~0UL})
    EXPECT_FALSE(allocator.put(wrong, Level::pmd)) << wrong;
  for (const u64 wrong : {1000UL, 1023UL, ~0UL})
    EXPECT_FALSE(allocator.put(wrong, Level::pte)) << wrong;
  EXPECT_TRUE(allocator.put(large + 300, Level::pte));
  EXPECT_FALSE(allocator.put(large + 300, Level::pte));
  EXPECT_FALSE(allocator.put(large, Level::pmd)) << "a hole in it";
  EXPECT_EQ(allocator.free_frames(), 1000u - 511u);
  EXPECT_TRUE(allocator.claim(large + 300));
  EXPECT_TRUE(allocator.put(large, Level::pmd));
  EXPECT_EQ(allocator.free_frames(), 1000u);
}

// After a mount nobody knows what was once one allocation.
TEST(Frames, PiecesAndWholesAreTheSame) {
  Pool pool(512);
  for (u64 frame = 0; frame < 512; frame++) ASSERT_TRUE(pool.allocator.claim(frame));
  EXPECT_TRUE(pool.allocator.put(0, Level::pmd));
  ASSERT_TRUE(pool.allocator.get(Level::pmd, 0).ok());
  for (u64 frame = 0; frame < 512; frame++) ASSERT_TRUE(pool.allocator.put(frame, Level::pte));
  EXPECT_TRUE(pool.allocator.get(Level::pmd, 0).ok());
}

TEST(Frames, LargeOnesNeedAWholeArea) {
  Pool pool(64 * area_frames);
  drain(pool.allocator, Level::pte);
  for (u64 area = 0; area < 64; area++)  // all but one frame each
    for (u64 i = 1; i < area_frames; i++)
      ASSERT_TRUE(pool.allocator.put(area * area_frames + i, Level::pte));
  EXPECT_FALSE(pool.allocator.get(Level::pmd, 0).ok());
  ASSERT_TRUE(pool.allocator.put(40 * area_frames, Level::pte));
  EXPECT_EQ(pool.allocator.get(Level::pmd, 0).value(), 40 * area_frames);
}

// Single frames come from areas that are broken already.
TEST(Frames, SmallOnesSpareWholeAreas) {
  Pool pool(100 * area_frames, 1);
  for (u64 area = 0; area < 100; area += 10) ASSERT_TRUE(pool.allocator.claim(area * area_frames));
  for (u64 i = 0; i < 10 * (area_frames - 1); i++)
    ASSERT_EQ(pool.allocator.get(Level::pte, 0).value() / area_frames % 10, 0u);
  EXPECT_EQ(drain(pool.allocator, Level::pmd), 90u);
}

TEST(Frames, SlotsTakeFromDifferentAreas) {
  constexpr unsigned slots = 8;
  Pool pool(64 * area_frames, slots);
  std::set<u64> areas;
  for (unsigned round = 0; round < 3 * area_frames; round++) {
    areas.clear();
    for (unsigned slot = 0; slot < slots; slot++)
      areas.insert(pool.allocator.get(Level::pte, slot).value() / area_frames);
    ASSERT_EQ(areas.size(), slots);
  }
}

// What other slots have reserved is no reason to fail.
TEST(Frames, OthersAreasAreTakenFromInTheEnd) {
  for (const Level level : {Level::pte, Level::pmd}) {
    Pool pool(4 * area_frames, 4);
    for (unsigned slot = 0; slot < 4; slot++) {
      const u64 frame = pool.allocator.get(Level::pte, slot).value();
      if (level == Level::pmd) {
        ASSERT_TRUE(pool.allocator.put(frame, Level::pte));
      }
    }
    EXPECT_EQ(drain(pool.allocator, level, 2), level == Level::pte ? 4 * 511u : 4u);
    EXPECT_EQ(pool.allocator.free_frames(), 0u);
  }
}

TEST(Frames, AnySlotWillDo) {
  Pool pool(100, 7);
  for (const unsigned slot : {6U, 7U, 8U, 1000U, ~0U})
    EXPECT_TRUE(pool.allocator.get(Level::pte, slot).ok());
}

/// Counts what is done to shared words.
struct Counting : HardwareAtomic {
  static inline u64 count = 0;
  template <Order order = Order::acquire, class T>
  static T load(const T& word) {
    count++;
    return HardwareAtomic::load<order>(word);
  }
  template <Order success = Order::acq_rel, Order failure = Order::acquire, class T>
  static bool compare_exchange(T& word, T& seen, T desired) {
    count++;
    return HardwareAtomic::compare_exchange<success, failure>(word, seen, desired);
  }
};

class FramesCost : public testing::Test {
 protected:
  static constexpr u64 areas = 40000;  // 78 GiB
  static constexpr u64 limit = 150;    // atomic operations, whatever the size

  template <class Act>
  static void expect_cheap(Act&& act) {
    Counting::count = 0;
    act();
    EXPECT_LT(Counting::count, limit);
    EXPECT_GT(Counting::count, 0u);
  }
  Pool<BasicFrameAllocator<Counting>> pool{areas * area_frames, 4};
  BasicFrameAllocator<Counting>& allocator = pool.allocator;
};

TEST_F(FramesCost, FailingLargeGetInAFragmentedPool) {
  for (u64 area = 0; area < areas; area++)
    ASSERT_TRUE(allocator.claim(area * area_frames + area % area_frames));
  for (unsigned slot = 0; slot < 4; slot++)
    expect_cheap([&] { EXPECT_FALSE(allocator.get(Level::pmd, slot).ok()); });
}

TEST_F(FramesCost, AlmostFullPool) {
  for (u64 area = 0; area < areas; area++) ASSERT_TRUE(allocator.get(Level::pmd, 0).ok());
  for (unsigned slot = 0; slot < 4; slot++) {
    expect_cheap([&] { EXPECT_FALSE(allocator.get(Level::pte, slot).ok()); });
    for (const u64 frame : {0UL, 12345678UL, areas * area_frames - 1}) {
      expect_cheap([&] { EXPECT_TRUE(allocator.put(frame, Level::pte)); });
      expect_cheap([&] { EXPECT_EQ(allocator.get(Level::pte, slot).value(), frame); });
    }
    expect_cheap([&] { EXPECT_TRUE(allocator.put(20000 * area_frames, Level::pmd)); });
    expect_cheap([&] { EXPECT_TRUE(allocator.get(Level::pmd, slot).ok()); });
  }
}

}  // namespace
}  // namespace morsel::test
