// SPDX-License-Identifier: MIT
// Files that are to be cached: their names in the cache, who may read a copy, and changes.
#include "source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "temporary.h"

namespace morsel {
namespace {

using SourceTest = TemporaryDirectory;

TEST(Source, entry_tells_states_apart) {
  struct stat state {};
  state.st_dev = 0xfe01;
  state.st_ino = 0xabc;
  state.st_size = 7323916608;
  state.st_mtim = {1700000000, 5};
  EXPECT_EQ(entry_of(state), "file-fe01-abc-7323916608-1700000000000000005");
  EXPECT_EQ(entry_prefix_of(state), "file-fe01-abc-");
  state.st_mtim = {-1, 999'999'999};
  EXPECT_EQ(entry_of(state), "file-fe01-abc-7323916608--1");
}

TEST_F(SourceTest, changes_are_seen) {
  const std::string path = file("a", "text");
  auto source = Source::open(path);
  ASSERT_TRUE(source);
  EXPECT_TRUE(source->unchanged());
  ASSERT_EQ(truncate(path.c_str(), 3), 0);
  EXPECT_EQ(source->unchanged().error().code, -ESTALE);

  source = Source::open(path);
  const timespec times[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  EXPECT_EQ(source->unchanged().error().code, -ESTALE);
}

TEST_F(SourceTest, only_regular_files_with_something_in_them) {
  EXPECT_EQ(Source::open(path("none")).error().code, -ENOENT);
  EXPECT_EQ(Source::open(file("empty", "")).error().code, -EINVAL);
  EXPECT_EQ(Source::open(directory_).error().code, -EINVAL);
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(Source::open(path("fifo")).error().code, -EINVAL);
}

TEST_F(SourceTest, copies_have_no_more_rights) {
  const std::string name = file("a");
  ASSERT_EQ(chmod(directory_.c_str(), 0755), 0);
  auto mode = [&](mode_t of_file) {
    EXPECT_EQ(chmod(name.c_str(), of_file), 0);
    return rights_for_copy(*Source::open(name)).mode;
  };
  EXPECT_EQ(mode(0777), 0444U);
  EXPECT_EQ(mode(0644), 0444U);
  EXPECT_EQ(mode(0640), 0440U);
  EXPECT_EQ(mode(0604), 0404U);
  EXPECT_EQ(mode(0600), 0400U);
  ASSERT_EQ(chmod(directory_.c_str(), 0700), 0);
  EXPECT_EQ(mode(0644), 0400U);
}

}  // namespace
}  // namespace morsel
