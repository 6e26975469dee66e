// SPDX-License-Identifier: MIT
//
// Directories: names that appear, go, and come back, and what a mount finds of them.
#include <gtest/gtest.h>

#include "pool.h"

namespace morsel::core::pool::test {
namespace {

constexpr Frame root = root_inode_frame;

struct NamesTest : testing::Test {
  Pool pool{4096};

  std::set<std::string> on_medium(Frame directory) {
    std::set<std::string> names;
    each_name(pool.media, directory, [&](Place place, const Name& name) {
      EXPECT_TRUE(is_whole(place, name));
      names.emplace(reinterpret_cast<const char*>(name.bytes), name.length);
      return true;
    });
    return names;
  }
  u64 frames_of(Frame directory) {
    u64 count = 0;
    for (Frame at = pool.inode(directory)->names; at != 0;
         at = in_frame<NamesFrame>(pool.media, at)->next)
      count++;
    return count;
  }
};

TEST_F(NamesTest, AreThereAfterTheNextMount) {
  const Frame folder = pool.create(root, "folder", type_directory);
  const Frame file = pool.create(folder, "file");
  pool.link(root, "other name", file);
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_TRUE(pool.seen.findings.empty());
  EXPECT_EQ(pool.look_up(root, "folder"), folder);
  EXPECT_EQ(pool.look_up(folder, "file"), file);
  EXPECT_EQ(pool.look_up(root, "other name"), file);
  EXPECT_EQ(pool.look_up(root, "file"), 0u);
  EXPECT_EQ(pool.seen.objects.size(), 2u);
  EXPECT_EQ(pool.seen.objects.at(folder).type, type_directory);
  EXPECT_EQ(pool.frames().used(), first_free_frame + 2 + 2u) << "two inodes, two frames of names";
}

TEST_F(NamesTest, ADirectoryGrowsByAFrameForFifteen) {
  for (unsigned count = 1; count <= 1000; count++) {
    pool.create(root, "name" + std::to_string(count), type_fifo);
    ASSERT_EQ(frames_of(root), (count + names_per_frame - 1) / names_per_frame);
    if (count % 333 == 0 || count == 15 || count == 16) {
      ASSERT_TRUE(pool.mount().ok());
      ASSERT_TRUE(pool.seen.findings.empty());
    }
  }
  EXPECT_EQ(on_medium(root).size(), 1000u);
  EXPECT_EQ(pool.seen.names[root].size(), 1000u);
}

TEST_F(NamesTest, SlotsAreUsedAgainBeforeItGrows) {
  for (int i = 0; i < 45; i++) pool.create(root, "name" + std::to_string(i), type_fifo);
  for (const bool mount : {false, true}) {
    std::set<std::string> expected = on_medium(root);
    for (const int i : {0, 14, 15, 29, 44}) {
      pool.unlink(root, "name" + std::to_string(i));
      expected.erase("name" + std::to_string(i));
    }
    EXPECT_EQ(on_medium(root), expected);
    if (mount) {
      ASSERT_TRUE(pool.mount().ok());
    }
    for (const int i : {0, 14, 15, 29, 44}) {
      pool.create(root, "name" + std::to_string(i), type_fifo);
      expected.insert("name" + std::to_string(i));
    }
    EXPECT_EQ(on_medium(root), expected);
    EXPECT_EQ(frames_of(root), 3u);
  }
  pool.create(root, "one more", type_fifo);
  EXPECT_EQ(frames_of(root), 4u);
}

TEST_F(NamesTest, AnUnnamedInodeIsNone) {
  pool.create(root, "here", type_fifo);
  const Frame file = pool.create(root, "gone");
  pool.write(file, 0, 1);
  const u64 used = pool.frames().used();
  pool.unlink(root, "gone");
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_TRUE(pool.seen.findings.empty());
  EXPECT_EQ(pool.frames().used(), used - 4) << "inode, page, two tables";
  EXPECT_FALSE(pool.frames().is_used(file));
}

TEST_F(NamesTest, APreparedNameLeadsNowhere) {
  const char name[] = "soon";
  (void)must(prepare_name(pool.media, pool.frames(), pool.directory(root), name, 4));
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_TRUE(pool.seen.findings.empty());
  EXPECT_TRUE(pool.seen.names[root].empty());
}

TEST_F(NamesTest, MayHoldAnythingButSlashesAndZeros) {
  const std::string longest(name_limit, 'x'), odd = "\n\xff \x01";
  for (const std::string& name : {longest, odd, std::string("..."), std::string(".a")})
    pool.create(root, name, type_fifo);
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_TRUE(pool.seen.findings.empty());
  EXPECT_EQ(on_medium(root), (std::set<std::string>{longest, odd, "...", ".a"}));
  const auto is = [](const std::string& name) {
    return is_name(reinterpret_cast<const u8*>(name.data()), name.size());
  };
  EXPECT_TRUE(is("a") && is("..a") && is(".a") && is("a."));
  EXPECT_FALSE(is("") || is(".") || is("..") || is("a/b") || is(std::string("a\0", 2)) ||
               is(std::string(name_limit + 1, 'x')));
}

TEST_F(NamesTest, TooLongOrEmptyIsRefused) {
  const std::string text(name_limit + 1, 'x');
  Directory& directory = pool.directory(root);
  for (const u64 length : {0UL, name_limit + 1})
    EXPECT_EQ(prepare_name(pool.media, pool.frames(), directory, text.data(), length).error(),
              Error::too_large);
}

TEST_F(NamesTest, WithoutAFreeFrameNothingChanges) {
  for (unsigned i = 0; i < names_per_frame; i++) pool.create(root, std::to_string(i), type_fifo);
  while (pool.frames().get().ok()) {
  }
  const Memory before = pool.media;
  EXPECT_EQ(prepare_name(pool.media, pool.frames(), pool.directory(root), "x", 1).error(),
            Error::no_space);
  EXPECT_TRUE(pool.media == before);
}

TEST_F(NamesTest, ANameCountsInItsOwnPlaceOnly) {
  const Frame file = pool.create(root, "name");
  const Place place = pool.place(root, "name");
  Name* other = pool.name_at(place + sizeof(Name));
  *other = *pool.name_at(place);
  EXPECT_TRUE(is_whole(place, *pool.name_at(place)));
  EXPECT_FALSE(is_whole(place + sizeof(Name), *other));
  ASSERT_TRUE(pool.mount().ok());
  EXPECT_EQ(pool.seen.count_of(Finding::Kind::bad_name), 1u);
  EXPECT_EQ(pool.look_up(root, "name"), file);
}

}  // namespace
}  // namespace morsel::core::pool::test
