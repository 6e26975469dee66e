// SPDX-License-Identifier: MIT
//
// The log: changes that are made together, whenever the power goes.
#include <gtest/gtest.h>

#include "pool.h"

namespace morsel::core::pool::test {
namespace {

constexpr Frame root = root_inode_frame;

struct LogTest : testing::Test {
  Pool pool;
  Frame folder = pool.create(root, "folder", type_directory);
  Frame file = pool.create(root, "file");
  Frame other = pool.create(folder, "other");

  /// rename("file", "folder/other"), which replaces what was there.
  void rename(Pool& in) {
    const LogChange change[] = {{in.place(root, "file"), 0}, {in.place(folder, "other"), file}};
    ASSERT_TRUE(in.log.commit(in.media, change, 2));
  }
  LogRecord* record(unsigned slot) { return in_frame<LogRecord>(pool.media, log_frame) + slot; }
  /// As commit() leaves it before the first change.
  void plant(unsigned slot, std::initializer_list<LogChange> changes, u64 count = 0) {
    LogRecord made{};
    made.magic = log_magic;
    made.count = count == 0 ? changes.size() : count;
    std::copy(changes.begin(), changes.end(), made.change);
    made.crc = crc_of(made);
    *record(slot) = made;
  }
};

TEST_F(LogTest, ARenameIsDoneOrNotWheneverThePowerGoes) {
  bool before = false, after = false;
  for (u64 stores = 0;; stores++) {
    Pool cut;
    const Frame folder_there = cut.create(root, "folder", type_directory);
    const Frame file_there = cut.create(root, "file");
    const Frame other_there = cut.create(folder_there, "other");
    ASSERT_TRUE(folder_there == folder && file_there == file && other_there == other);
    cut.media.cut_after(stores);
    bool power = true;
    try {
      rename(cut);
    } catch (const PowerCut&) {
      power = false;
    }
    cut.media.cut_after(1000);
    ASSERT_TRUE(cut.mount().ok());
    EXPECT_TRUE(cut.seen.findings.empty()) << stores;
    EXPECT_EQ(Log::pending(cut.media), 0u);
    if (cut.look_up(root, "file") == file) {
      EXPECT_EQ(cut.look_up(folder, "other"), other) << stores;
      before = true;
    } else {
      EXPECT_EQ(cut.look_up(root, "file"), 0u) << stores;
      EXPECT_EQ(cut.look_up(folder, "other"), file) << stores;
      after = true;
    }
    if (power) break;
  }
  EXPECT_TRUE(before && after);
}

TEST_F(LogTest, AMountThatMayNotWriteLeavesItAlone) {
  plant(7, {{pool.place(root, "file"), 0}, {pool.place(folder, "other"), file}});
  const Memory before = pool.media;
  ASSERT_TRUE(pool.mount(Mending::none).ok());
  EXPECT_EQ(pool.recovery.replayed, 0u);
  EXPECT_EQ(Log::pending(pool.media), 1u);
  EXPECT_TRUE(pool.media == before);
  EXPECT_EQ(pool.look_up(root, "file"), file);
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_EQ(pool.recovery.replayed, 1u);
  EXPECT_EQ(pool.look_up(folder, "other"), file);
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_EQ(pool.recovery.replayed, 0u);
}

TEST_F(LogTest, ThirtyTwoRecordsAreMadeAndNoMore) {
  for (unsigned i = 0; i < log_records; i++) {
    const Frame made = pool.create(root, "from" + std::to_string(i), type_fifo);
    const Place from = pool.place(root, "from" + std::to_string(i));
    const Place to = must(prepare_name(pool.media, pool.frames(), pool.directory(folder),
                                       std::to_string(i).data(), std::to_string(i).size()));
    plant(i, {{from, 0}, {to, made}});
  }
  EXPECT_EQ(Log::pending(pool.media), log_records);
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_EQ(pool.recovery.replayed, log_records);
  EXPECT_TRUE(pool.seen.findings.empty());
  EXPECT_EQ(pool.seen.names[folder].size(), 1 + log_records);
  EXPECT_EQ(pool.seen.names[root].size(), 2u);
}

TEST_F(LogTest, ATornRecordDoesNotCount) {
  plant(0, {{pool.place(root, "file"), 0}});
  record(0)->change[0].value = 1;
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_EQ(pool.recovery.replayed, 0u);
  EXPECT_EQ(pool.look_up(root, "file"), file);
}

TEST_F(LogTest, ARecordThatNamesAnythingElseIsDamage) {
  const Place target = pool.place(root, "file"), sound = pool.place(folder, "other");
  const std::pair<const char*, LogChange> wrong[] = {
      {"the superblock", {0, 0}},
      {"the root directory's inode", {root * frame_bytes + 80, file}},
      {"a name's bytes", {target + 8, 0}},
      {"a frame that is none of names", {file * frame_bytes + 16, 0}},
      {"beyond the pool", {pool.media.size() + 16, 0}},
      {"far beyond the pool", {~0UL - 7, 0}},
      {"a value that is the log", {target, log_frame}},
      {"a value beyond the pool", {target, pool.media.frames()}},
  };
  for (const auto& [what, change] : wrong) {
    plant(3, {{sound, 0}});
    plant(5, {{target, 0}, change});
    const Memory before = pool.media;
    EXPECT_EQ(pool.mount().error(), Error::damaged) << what;
    EXPECT_TRUE(pool.media == before) << what << ": not even the sound record is made";
    Pool repaired = pool;
    EXPECT_TRUE(repaired.mount(Mending::damage).ok()) << what;
    EXPECT_EQ(repaired.look_up(root, "file"), file) << what;
    EXPECT_EQ(repaired.look_up(folder, "other"), 0u) << what << ": the sound record is made";
    EXPECT_TRUE(repaired.mount(Mending::none).ok());
    EXPECT_EQ(Log::pending(repaired.media), 0u) << what;
  }
}

TEST_F(LogTest, TooManyChangesAreNoRecord) {
  plant(0, {{pool.place(root, "file"), 0}}, log_changes + 1);
  EXPECT_EQ(Log::pending(pool.media), 0u);
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_EQ(pool.look_up(root, "file"), file);
}

}  // namespace
}  // namespace morsel::core::pool::test
