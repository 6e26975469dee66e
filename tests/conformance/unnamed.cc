// SPDX-License-Identifier: MIT
//
// Files without a name: unlinked while open, O_TMPFILE.
#include "files.h"

namespace {
constexpr size_t bytes = leaf + 5 * page;
}

TEST(unnamed_while_open) {
  int fd = make_file("f", 1, bytes);
  SYS(unlink("f"));
  CHECK_EQ(status(fd).st_nlink, 0);
  check_file(fd, 1, 0, bytes);
  write_filled(fd, 2, bytes, bytes);
  check_file(fd, 2, bytes, bytes);
  SYS(ftruncate(fd, bytes / 2));
  SYS(fallocate(fd, 0, 0, 2 * bytes));
  make_file("f", 3, page);  // the name is free
  check_file(fd, 1, 0, page);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int again = SYS(open(path, O_RDWR));
  check_file(again, 1, 0, page);
  SYS_ERR(linkat(AT_FDCWD, path, AT_FDCWD, "g", AT_SYMLINK_FOLLOW), ENOENT);
}

TEST(unnamed_while_mapped) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
  SYS(unlink("f"));
  close(fd);
  make_file("f", 2, bytes);
  CHECK_FILLED(r, 1, 0, bytes);
  fill(m, 3, 0, bytes);
  CHECK_FILLED(r, 3, 0, bytes);
}

TEST(unnamed_space_returns_with_the_last_user) {
  if (harness::in_pool()) SKIP("tables take space, too: pool_contents_stay counts");
  uint64_t before = space(".").f_bfree;
  int fd = make_file("f", 1, bytes);
  uint64_t with = space(".").f_bfree;
  CHECK_EQ(before - with, bytes / page);
  SYS(unlink("f"));
  char* m = map(fd, bytes, rw, MAP_SHARED);
  close(fd);
  CHECK_EQ(space(".").f_bfree, with);
  SYS(munmap(m, page));
  CHECK_EQ(space(".").f_bfree, with);
  SYS(munmap(m, bytes));
  CHECK_EQ(space(".").f_bfree, before);
}

TEST(unnamed_from_the_start) {
  int fd = SYS(open(".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0640));
  CHECK_EQ(status(fd).st_nlink, 0);
  CHECK_EQ(status(fd).st_mode, S_IFREG | 0640);
  write_filled(fd, 1, 0, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, bytes);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  SYS(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
  CHECK_EQ(status(fd).st_nlink, 1);
  int again = SYS(open("named", O_RDONLY));
  check_file(again, 1, 0, bytes);
  fill(m, 2, 0, bytes);
  check_file(again, 2, 0, bytes);
  SYS_ERR(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), EEXIST);
}

TEST(unnamed_for_good) {
  uint64_t before = space(".").f_bfree, inodes = space(".").f_ffree;
  int fd = SYS(open(".", O_RDWR | O_TMPFILE | O_EXCL, 0600));
  write_filled(fd, 1, 0, bytes);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  SYS_ERR(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), ENOENT);
  SYS_ERR(open(".", O_RDONLY | O_TMPFILE, 0600), EINVAL);
  close(fd);
  CHECK_EQ(space(".").f_bfree, before);
  CHECK_EQ(space(".").f_ffree, inodes);
}
