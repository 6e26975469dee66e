// SPDX-License-Identifier: MIT
//
// rename(2) and renameat2(2) with all flags.
#include <linux/fs.h>
#include <sys/syscall.h>

#include "files.h"

namespace {
int renamed(const char* from, const char* to, unsigned flags) {
  return int(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
}
}  // namespace

TEST(rename_plain) {
  write_all("a", "one");
  write_all("b", "two");
  ino_t a = status("a").st_ino;
  SYS(rename("a", "b"));
  CHECK(!exists("a"));
  CHECK_TEXT(read_all("b"), "one");
  CHECK_EQ(status("b").st_ino, a);
  SYS_ERR(rename("missing", "b"), ENOENT);
  SYS(rename("b", "b"));
  CHECK_TEXT(read_all("b"), "one");
  SYS(link("b", "c"));
  SYS(rename("b", "c"));  // two names of one file: nothing happens
  CHECK(exists("b"));
  CHECK_EQ(status("b").st_nlink, 2);
}

TEST(rename_directories) {
  SYS(mkdir("a", 0755));
  SYS(mkdir("a/sub", 0755));
  SYS(mkdir("b", 0755));
  SYS(mkdir("full", 0755));
  write_all("full/f", "x");
  write_all("f", "x");
  SYS_ERR(rename("a", "full"), ENOTEMPTY);
  SYS_ERR(rename("a", "f"), ENOTDIR);
  SYS_ERR(rename("f", "a"), EISDIR);
  SYS_ERR(rename("a", "a/sub/inside"), EINVAL);
  SYS_ERR(rename("a/sub", "a"), ENOTEMPTY);
  nlink_t before = status(".").st_nlink;
  SYS(rename("a", "b"));  // over an empty directory
  CHECK(exists("b/sub"));
  CHECK_EQ(status(".").st_nlink, before - 1);
  SYS(rename("b/sub", "full/sub"));
  CHECK_EQ(status("full/sub/..").st_ino, status("full").st_ino);
  CHECK_EQ(status("full").st_nlink, 3);
  CHECK_EQ(status("b").st_nlink, 2);
}

TEST(rename_noreplace) {
  write_all("a", "one");
  write_all("b", "two");
  SYS(mkdir("d", 0755));
  SYS_ERR(renamed("a", "b", RENAME_NOREPLACE), EEXIST);
  SYS_ERR(renamed("a", "d", RENAME_NOREPLACE), EEXIST);
  SYS_ERR(renamed("a", "a", RENAME_NOREPLACE), EEXIST);
  CHECK_TEXT(read_all("b"), "two");
  SYS(renamed("a", "c", RENAME_NOREPLACE));
  CHECK_TEXT(read_all("c"), "one");
  SYS(renamed("d", "e", RENAME_NOREPLACE));
}

TEST(rename_exchange) {
  write_all("a", "one");
  SYS(mkdir("d", 0755));
  SYS(mkdir("d/sub", 0755));
  SYS(mkdir("e", 0755));
  write_all("e/b", "two");
  SYS(renamed("a", "e/b", RENAME_EXCHANGE));
  CHECK_TEXT(read_all("a"), "two");
  CHECK_TEXT(read_all("e/b"), "one");
  // A file and a directory, between directories: link counts follow.
  SYS(renamed("d/sub", "e/b", RENAME_EXCHANGE));
  CHECK(S_ISREG(status("d/sub").st_mode));
  CHECK(S_ISDIR(status("e/b").st_mode));
  CHECK_EQ(status("d").st_nlink, 2);
  CHECK_EQ(status("e").st_nlink, 3);
  CHECK_EQ(status("e/b/..").st_ino, status("e").st_ino);
  SYS(renamed("d", "e", RENAME_EXCHANGE));
  CHECK(S_ISDIR(status("d/b").st_mode));
  SYS_ERR(renamed("a", "missing", RENAME_EXCHANGE), ENOENT);
  SYS_ERR(renamed("d", "d/b", RENAME_EXCHANGE), EINVAL);
  CHECK(exists("a"));
  for (const char* name : {"d/b", "e/sub"}) SYS(remove(name));
}

TEST(rename_whiteout) {
  write_all("a", "one");
  write_all("b", "two");
  SYS(renamed("a", "b", RENAME_WHITEOUT));
  CHECK_TEXT(read_all("b"), "one");
  CHECK_EQ(status("a").st_mode & S_IFMT, S_IFCHR);
  CHECK_EQ(status("a").st_rdev, 0);
  SYS(unlink("a"));
  SYS(renamed("b", "c", RENAME_WHITEOUT));
  CHECK_TEXT(read_all("c"), "one");
  CHECK_EQ(status("b").st_mode & S_IFMT, S_IFCHR);
  SYS_ERR(renamed("c", "b", RENAME_WHITEOUT | RENAME_NOREPLACE), EEXIST);
  SYS(renamed("c", "d", RENAME_WHITEOUT | RENAME_NOREPLACE));
  CHECK_TEXT(read_all("d"), "one");
  SYS(unlink("c"));
  SYS(unlink("b"));
}

TEST(rename_impossible_flags) {
  write_all("a", "one");
  write_all("b", "two");
  SYS_ERR(renamed("a", "b", RENAME_NOREPLACE | RENAME_EXCHANGE), EINVAL);
  SYS_ERR(renamed("a", "b", RENAME_WHITEOUT | RENAME_EXCHANGE), EINVAL);
  SYS_ERR(renamed("a", "b", 1 << 10), EINVAL);
  CHECK_TEXT(read_all("a"), "one");
  CHECK_TEXT(read_all("b"), "two");
}

// The file that is replaced lives on while it is open or mapped.
TEST(rename_over_an_open_file) {
  int fd = make_file("old", 1, leaf + page);
  char* m = map(fd, leaf + page, rw, MAP_SHARED);
  make_file("new", 2, page);
  SYS(rename("new", "old"));
  CHECK_EQ(status(fd).st_nlink, 0);
  CHECK_FILLED(m, 1, 0, leaf + page);
  check_file(fd, 1, 0, leaf + page);
  fill(m, 3, 0, page);
  int now = SYS(open("old", O_RDONLY));
  check_file(now, 2, 0, page);
  close(fd);
  CHECK_FILLED(m, 3, 0, page);
}

TEST(rename_changes_times) {
  write_all("a", "one");
  timespec past[2] = {{1000, 0}, {1000, 0}};
  SYS(utimensat(AT_FDCWD, "a", past, 0));
  SYS(rename("a", "b"));
  CHECK_EQ(status("b").st_mtim.tv_sec, 1000);
  CHECK(status("b").st_ctim.tv_sec > 1000);
}

TEST(rename_by_processes_at_once) {
  write_all("a0", "x");
  pid_t children[4];
  for (int who = 0; who < 4; who++)
    children[who] = harness::spawn([=] {
      for (int i = 0; i < 100; i++) {
        std::string from = "a" + std::to_string((i + who) % 3);
        std::string to = "a" + std::to_string((i + who + 1) % 3);
        if (rename(from.c_str(), to.c_str()) != 0) CHECK_EQ(errno, ENOENT);
      }
    });
  for (pid_t child : children) harness::join(child);
  CHECK_EQ(exists("a0") + exists("a1") + exists("a2"), 1);
}
