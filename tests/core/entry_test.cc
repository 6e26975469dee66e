// SPDX-License-Identifier: MIT
//
// The encoding of entries, and their atomic moves.
#include <gtest/gtest.h>

#include "arena_host.h"

namespace morsel::test {
namespace {

class Encoding : public testing::TestWithParam<const Format*> {};
INSTANTIATE_TEST_SUITE_P(Machines, Encoding, testing::Values(&plain_format, &encrypted_format));

TEST_P(Encoding, IsSound) { EXPECT_TRUE(GetParam()->sound()); }

TEST_P(Encoding, OfLeavesComesBack) {
  const Format& format = *GetParam();
  for (const Pfn pfn : {Pfn(0), Pfn(0x200), Pfn(0x12345600), format.pfn_mask >> 12 & ~0x1ffUL})
    for (const Twin twin : twins)
      for (const Level level : {Level::pte, Level::pmd}) {
        const u64 leaf = format.make_leaf(twin, pfn, level);
        EXPECT_TRUE(format.is_present(leaf));
        EXPECT_TRUE(format.is_leaf(leaf, level));
        EXPECT_EQ(format.pfn(leaf), pfn);
        EXPECT_EQ(format.address(leaf), pfn << 12);
        EXPECT_EQ((leaf & format.huge) != 0, level == Level::pmd);
      }
}

TEST_P(Encoding, OfTablesIsTheKernelsOwn) {
  const Format& format = *GetParam();
  const u64 entry = format.make_table(0x12345000);
  EXPECT_EQ(entry, 0x12345000 | format.table);
  EXPECT_TRUE(format.is_present(entry));
  EXPECT_EQ(format.address(entry), 0x12345000u);
  for (const Level level : {Level::pmd, Level::pud, Level::p4d})
    EXPECT_FALSE(format.is_leaf(entry, level));
}

TEST_P(Encoding, OfTwinsDiffersInWriteAndDirty) {
  const Format& format = *GetParam();
  const u64 bits = format.write | format.dirty | format.accessed;
  for (const Level level : {Level::pte, Level::pmd}) {
    EXPECT_EQ(format.make_leaf(Twin::rw, 0x200, level) & bits, bits);
    EXPECT_EQ(format.make_leaf(Twin::ro, 0x200, level) & bits, format.accessed);
  }
}

struct Spoiled {
  const char* name;
  void (*spoil)(Format&);
};
class Unsound : public testing::TestWithParam<Spoiled> {};
INSTANTIATE_TEST_SUITE_P(
    Format, Unsound,
    testing::Values(Spoiled{"RoWritable", [](Format& f) { f.leaf[1] |= f.write; }},
                    Spoiled{"RoDirty", [](Format& f) { f.leaf[1] |= f.dirty; }},
                    Spoiled{"RoNotAccessed", [](Format& f) { f.leaf[1] &= ~f.accessed; }},
                    Spoiled{"RoAbsent", [](Format& f) { f.leaf[1] &= ~f.present; }},
                    Spoiled{"RwClean", [](Format& f) { f.leaf[0] &= ~f.dirty; }},
                    Spoiled{"RwReadOnly", [](Format& f) { f.leaf[0] &= ~f.write; }},
                    Spoiled{"RwNotAccessed", [](Format& f) { f.leaf[0] &= ~f.accessed; }},
                    Spoiled{"RwAbsent", [](Format& f) { f.leaf[0] &= ~f.present; }},
                    Spoiled{"TableReadOnly", [](Format& f) { f.table &= ~f.write; }},
                    Spoiled{"TableAbsent", [](Format& f) { f.table &= ~f.present; }},
                    Spoiled{"TableHuge", [](Format& f) { f.table |= f.huge; }},
                    Spoiled{"LeafHuge", [](Format& f) { f.leaf[0] |= f.huge; }},
                    Spoiled{"FlagInAddress", [](Format& f) { f.leaf[1] |= 1UL << 40; }},
                    Spoiled{"TableFlagInAddress", [](Format& f) { f.table |= 1UL << 12; }}),
    [](const auto& info) { return info.param.name; });

TEST_P(Unsound, IsRefused) {
  Format format = plain_format;
  GetParam().spoil(format);
  EXPECT_FALSE(format.sound());
}

TEST(Entry, IsPublishedOnce) {
  AtomicEntry entry{};
  EXPECT_TRUE(entry.publish(5));
  EXPECT_EQ(entry.load(), 5u);
  EXPECT_FALSE(entry.publish(6));
  EXPECT_EQ(entry.load(), 5u);
}

TEST(Entry, ExchangeTellsWhatWasThere) {
  AtomicEntry entry{};
  entry.init(9);
  EXPECT_EQ(entry.exchange(8), 9u);
  entry.clear();
  EXPECT_TRUE(entry.publish(7));
}

TEST(Levels, CoverWhatTheHardwareSays) {
  EXPECT_EQ(pages_per_entry(Level::pte), 1u);
  EXPECT_EQ(pages_per_entry(Level::pmd), 512u);
  EXPECT_EQ(pages_per_table(Level::pmd), pages_per_entry(Level::pud));
  EXPECT_EQ(pages_per_table(Level::p4d), 1UL << 36);
  const Index index = 1UL << 27 | 2UL << 18 | 3UL << 9 | 4;
  EXPECT_EQ(slot_of(index, Level::p4d), 1u);
  EXPECT_EQ(slot_of(index, Level::pud), 2u);
  EXPECT_EQ(slot_of(index, Level::pmd), 3u);
  EXPECT_EQ(slot_of(index, Level::pte), 4u);
}

TEST(Ranges, KnowWhatTheyCover) {
  constexpr Range range{512, 1024};
  EXPECT_TRUE(range.covers(512, 512));
  EXPECT_FALSE(range.covers(511, 512));
  EXPECT_FALSE(range.covers(513, 512));
  EXPECT_FALSE(range.empty());
  EXPECT_TRUE((Range{5, 5}.empty()));
  EXPECT_TRUE((Range{6, 5}.empty()));
}

}  // namespace
}  // namespace morsel::test
