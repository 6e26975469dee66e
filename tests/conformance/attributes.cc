// SPDX-License-Identifier: MIT
//
// statfs, times, modes and owners, as root and as somebody else.
#include <sys/statvfs.h>
#include <time.h>

#include "files.h"

TEST(attributes_statfs) {
  if (harness::in_pool()) SKIP("tables take space, too: pool_contents_stay counts");
  struct statfs s = space(".");
  CHECK_EQ(s.f_bsize, page);
  CHECK_EQ(s.f_namelen, 255);
  CHECK(s.f_blocks > 0);
  CHECK(s.f_bfree <= s.f_blocks);
  CHECK(s.f_ffree <= s.f_files);
  int fd = make_file("f", 1, 50 * page);
  struct statfs now = space(".");
  CHECK_EQ(s.f_bfree - now.f_bfree, 50);
  CHECK_EQ(s.f_ffree - now.f_ffree, 1);
  SYS(unlink("f"));
  now = space(".");
  CHECK_EQ(s.f_bfree - now.f_bfree, 50);  // open, so it counts
  close(fd);
  now = space(".");
  CHECK_EQ(s.f_bfree, now.f_bfree);
  CHECK_EQ(s.f_ffree, now.f_ffree);
  if (harness::is_morselfs()) CHECK_EQ(now.f_type, MORSELFS_SUPER_MAGIC);
}

TEST(attributes_inode_numbers_differ) {
  close(create("a"));
  close(create("b"));
  SYS(mkdir("d", 0755));
  CHECK(status("a").st_ino != status("b").st_ino);
  CHECK(status("a").st_ino != status("d").st_ino);
  CHECK_EQ(status("a").st_dev, status("d").st_dev);
  CHECK_EQ(status("a").st_blksize % long(page), 0);
}

TEST(attributes_times) {
  int fd = create("f");
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  CHECK(labs(status(fd).st_mtim.tv_sec - now.tv_sec) <= 60);
  timespec set[2] = {{1000, 123456789}, {2000, 987654321}};
  SYS(futimens(fd, set));
  CHECK_EQ(status(fd).st_atim.tv_sec, 1000);
  CHECK_EQ(status(fd).st_atim.tv_nsec, 123456789);
  CHECK_EQ(status(fd).st_mtim.tv_sec, 2000);
  CHECK_EQ(status(fd).st_mtim.tv_nsec, 987654321);
  CHECK(status(fd).st_ctim.tv_sec >= now.tv_sec - 60);
  timespec omit[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
  SYS(futimens(fd, omit));
  CHECK_EQ(status(fd).st_atim.tv_sec, 1000);
  CHECK(status(fd).st_mtim.tv_sec >= now.tv_sec - 60);
  SYS(futimens(fd, set));
  CHECK_EQ(write(fd, "x", 1), 1);
  CHECK(status(fd).st_mtim.tv_sec != 2000);
  SYS(futimens(fd, set));
  SYS(chmod("f", 0600));
  CHECK_EQ(status(fd).st_mtim.tv_sec, 2000);
  timespec early[2] = {{-5, 0}, {-5, 0}};
  SYS(futimens(fd, early));
  CHECK_EQ(status(fd).st_mtim.tv_sec, -5);
  SYS(symlink("f", "s"));
  SYS(utimensat(AT_FDCWD, "s", set, AT_SYMLINK_NOFOLLOW));
  CHECK_EQ(status("s").st_mtim.tv_sec, 2000);
  CHECK_EQ(status("f").st_mtim.tv_sec, -5);
}

TEST(attributes_time_of_access) {
  struct statvfs s;
  SYS(statvfs(".", &s));
  if (s.f_flag & ST_NOATIME) SKIP("the mount has noatime");
  int fd = make_file("f", 1, page);
  timespec set[2] = {{1000, 0}, {2000, 0}};  // older than the change: relatime updates it
  char c;
  SYS(futimens(fd, set));
  CHECK_EQ(pread(fd, &c, 1, 0), 1);
  CHECK(status(fd).st_atim.tv_sec != 1000);
  SYS(futimens(fd, set));
  int quiet = SYS(open("f", O_RDONLY | O_NOATIME));
  CHECK_EQ(pread(quiet, &c, 1, 0), 1);
  CHECK_EQ(status(fd).st_atim.tv_sec, 1000);
  map(fd, page, PROT_READ, MAP_SHARED);  // mapping is an access
  CHECK(status(fd).st_atim.tv_sec != 1000);
}

TEST(attributes_modes) {
  umask(027);
  int fd = create("f", 0666);
  CHECK_EQ(status(fd).st_mode, S_IFREG | 0640);
  SYS(mkdir("d", 0777));
  CHECK_EQ(status("d").st_mode, S_IFDIR | 0750);
  SYS(fchmod(fd, 07777));
  CHECK_EQ(status(fd).st_mode, S_IFREG | 07777);
  SYS(fchown(fd, 1, 2));
  CHECK_EQ(status(fd).st_uid, 1);
  CHECK_EQ(status(fd).st_gid, 2);
  CHECK_EQ(status(fd).st_mode & 06000, 0);  // chown takes set-ID bits
  SYS(chown("f", uid_t(-1), gid_t(-1)));
  CHECK_EQ(status(fd).st_uid, 1);
  SYS(symlink("f", "s"));
  SYS(lchown("s", 7, 8));
  CHECK_EQ(status("s").st_uid, 7);
  CHECK_EQ(status("f").st_uid, 1);
}

TEST(attributes_as_another_user) {
  SYS(chmod(".", 0755));
  write_all("readable", "x");
  write_all("secret", "x");
  SYS(chmod("secret", 0600));
  write_all("own", "x");
  SYS(chown("own", 65534, 65534));
  SYS(mkdir("open", 0777));
  SYS(chmod("open", 0777));
  SYS(mkdir("sticky", 0777));
  SYS(chmod("sticky", 01777));
  write_all("sticky/f", "x");
  write_all("open/f", "x");
  SYS(mkdir("closed", 0700));
  as_nobody([] {
    CHECK_TEXT(read_all("readable"), "x");
    SYS_ERR(open("readable", O_RDWR), EACCES);
    SYS_ERR(open("secret", O_RDONLY), EACCES);
    SYS_ERR(truncate("readable", 0), EACCES);
    SYS_ERR(access("readable", W_OK), EACCES);
    SYS_ERR(open("new", O_RDWR | O_CREAT, 0644), EACCES);
    SYS_ERR(unlink("own"), EACCES);
    SYS_ERR(chmod("readable", 0777), EPERM);
    SYS_ERR(chown("own", 0, 0), EPERM);
    SYS(chmod("own", 0600));
    close(create("open/mine"));
    CHECK_EQ(status("open/mine").st_uid, 65534);
    SYS(unlink("open/f"));
    SYS_ERR(unlink("sticky/f"), EPERM);
    SYS_ERR(rename("sticky/f", "sticky/g"), EPERM);
    SYS_ERR(open("closed/x", O_RDONLY), EACCES);
    SYS_ERR(mknod("open/dev", S_IFCHR | 0600, 1), EPERM);
    timespec set[2] = {{1000, 0}, {2000, 0}};
    SYS_ERR(utimensat(AT_FDCWD, "readable", set, 0), EPERM);
    SYS_ERR(utimensat(AT_FDCWD, "readable", nullptr, 0), EACCES);
  });
}

TEST(attributes_mapping_as_another_user) {
  SYS(chmod(".", 0755));
  int fd = make_file("f", 1, leaf);
  as_nobody([] {
    int reader = SYS(open("f", O_RDONLY));
    char* m = map(reader, leaf, PROT_READ, MAP_SHARED);
    CHECK_FILLED(m, 1, 0, leaf);
    SYS_ERR(mprotect(m, leaf, rw), EACCES);
    SYS_ERR(mmap(nullptr, leaf, rw, MAP_SHARED, reader, 0), EACCES);
    char* p = map(reader, leaf, rw, MAP_PRIVATE);
    fill(p, 2, 0, page);
  });
  check_file(fd, 1, 0, leaf);
  // Rights are checked when the file is opened: a writer stays one.
  SYS(chmod("f", 0666));
  as_nobody([] {
    int writer = SYS(open("f", O_RDWR));
    SYS_ERR(chmod("f", 0), EPERM);
    fill(map(writer, leaf, rw, MAP_SHARED), 3, 0, page);
  });
  check_file(fd, 3, 0, page);
}

TEST(attributes_set_id_bits_go_with_a_write) {
  SYS(chmod(".", 0755));
  write_all("f", "x");
  SYS(chmod("f", 06777));
  as_nobody([] {
    int fd = SYS(open("f", O_RDWR));
    CHECK_EQ(write(fd, "y", 1), 1);
  });
  CHECK_EQ(status("f").st_mode & 06000, 0);
  SYS(chmod("f", 06777));
  as_nobody([] { SYS(truncate("f", 0)); });
  CHECK_EQ(status("f").st_mode & 04000, 0);
}

TEST(attributes_statx) {
  int fd = make_file("f", 1, 3 * page);
  struct statx x;
  SYS(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x));
  CHECK_EQ(x.stx_size, 3 * page);
  CHECK_EQ(x.stx_blocks, 3 * 8);
  CHECK_EQ(x.stx_nlink, 1);
  CHECK_EQ(x.stx_ino, status(fd).st_ino);
  // When it was made, whatever happens to it later.
  int64_t changed = x.stx_ctime.tv_sec * 1'000'000'000 + x.stx_ctime.tv_nsec;
  usleep(20'000);
  SYS(fchmod(fd, 0600));
  CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
  SYS(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &x));
  CHECK_EQ(x.stx_mask & STATX_BTIME, STATX_BTIME);
  CHECK(x.stx_btime.tv_sec * 1'000'000'000 + x.stx_btime.tv_nsec <= changed);
  CHECK(x.stx_btime.tv_sec > 0);
}
