// SPDX-License-Identifier: MIT
//
// What is different on persistent memory: contents outlive the mount. DISK is a second device,
// such as /dev/pmem1, whose pool the tests make and mount as they like.
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include "memory.h"
#include "pool_image.h"

namespace {

using pool_image::Image;

constexpr const char* at = "n";

const std::string& device() {
  if (harness::disk().find("pmem") == std::string::npos) SKIP("no persistent memory");
  return harness::disk();
}

void make_pool() { Image(device()).make(); }

void mount_pool(unsigned long flags = 0, const char* options = "") {
  mkdir(at, 0755);
  SYS(mount(device().c_str(), at, "morselfs", flags, options));
}

void unmount_pool() { SYS(umount(at)); }

void fresh_pool() {
  make_pool();
  mount_pool();
}

void remount_pool() {
  unmount_pool();
  mount_pool();
}

std::string in_pool(const char* name) { return std::string(at) + "/" + name; }

void write_file(const char* name, uint64_t seed, size_t bytes) {
  int fd = make_file(in_pool(name).c_str(), seed, bytes);
  SYS(close(fd));
}

void check_file(const char* name, uint64_t seed, size_t bytes) {
  int fd = SYS(open(in_pool(name).c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st;
  SYS(fstat(fd, &st));
  CHECK_EQ(st.st_size, bytes);
  std::string read(bytes, 0);
  CHECK_EQ(pread(fd, read.data(), bytes, 0), bytes);
  CHECK_FILLED(read.data(), seed, 0, bytes / 8 * 8);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_PAGES(m, seed, 0, bytes / page * page);
  SYS(munmap(m, bytes));
  SYS(close(fd));
}

unsigned long free_blocks() {
  struct statfs s;
  SYS(statfs(at, &s));
  return s.f_bfree;
}

bool is_read_only() {
  struct statvfs s;
  SYS(statvfs(at, &s));
  return s.f_flag & ST_RDONLY;
}

void tell(const std::string& path, const std::string& text) {
  int fd = SYS(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  CHECK_EQ(write(fd, text.data(), text.size()), text.size());
  SYS(close(fd));
}

std::string in_sysfs() { return "/sys/block/" + device().substr(strlen("/dev/")); }

// The device is told what it can't read.
void list_as_bad(unsigned long frame) {
  tell(in_sysfs() + "/badblocks", std::to_string(frame * 8) + " 8");
}

// And that it can read everything again: there is no way but a new beginning.
void forget_bad() {
  char target[400] = "";
  CHECK(readlink((in_sysfs() + "/device").c_str(), target, sizeof target - 1) > 0);
  const char* name = strrchr(target, '/') + 1;
  tell("/sys/bus/nd/drivers/nd_pmem/unbind", name);
  tell("/sys/bus/nd/drivers/nd_pmem/bind", name);
  for (int i = 0; access(device().c_str(), F_OK) != 0 && i < 500; i++) usleep(10000);
}

struct stat status(const char* name) {
  struct stat st;
  SYS(lstat(in_pool(name).c_str(), &st));
  return st;
}

}  // namespace

TEST(pool_empty) {
  fresh_pool();
  unsigned long free = free_blocks();
  remount_pool();
  CHECK_EQ(free_blocks(), free);
  CHECK(!is_read_only());
  unmount_pool();
}

TEST(pool_contents_stay) {
  constexpr size_t sizes[] = {1 * page, 3 * page, leaf, leaf + 5 * page, 3 * leaf};
  fresh_pool();
  for (size_t bytes : sizes) write_file(std::to_string(bytes).c_str(), bytes, bytes);
  unsigned long free = free_blocks();
  for (int turn = 0; turn < 2; turn++) {
    remount_pool();
    CHECK_EQ(free_blocks(), free);
    for (size_t bytes : sizes) check_file(std::to_string(bytes).c_str(), bytes, bytes);
  }
  for (size_t bytes : sizes) SYS(unlink(in_pool(std::to_string(bytes).c_str()).c_str()));
  remount_pool();
  struct statfs s;
  SYS(statfs(at, &s));
  CHECK_EQ(s.f_blocks - s.f_bfree, 5);  // superblocks, log, root, its names
  unmount_pool();
}

TEST(pool_holes_stay) {
  fresh_pool();
  int fd = SYS(open(in_pool("f").c_str(), O_RDWR | O_CREAT, 0644));
  SYS(ftruncate(fd, 5L << 30));
  std::string text(page, 'x');
  for (off_t offset : {0L, 7L << 20, 1L << 30, (4L << 30) + (6L << 12)})
    CHECK_EQ(pwrite(fd, text.data(), page, offset), page);
  SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 7L << 20, page));
  SYS(close(fd));
  remount_pool();
  fd = SYS(open(in_pool("f").c_str(), O_RDWR));
  CHECK_EQ(lseek(fd, 0, SEEK_END), 5L << 30);
  CHECK_EQ(lseek(fd, page, SEEK_DATA), 1L << 30);
  CHECK_EQ(lseek(fd, (1L << 30) + page, SEEK_DATA), (4L << 30) + (6L << 12));
  struct stat st;
  SYS(fstat(fd, &st));
  CHECK_EQ(st.st_blocks, 3 * 8);
  char* m = map(fd, 5L << 30, rw, MAP_SHARED);
  CHECK_EQ(m[0], 'x');
  CHECK_EQ(m[7L << 20], 0);
  CHECK_EQ(m[(1L << 30) + 5], 'x');
  m[(2L << 30) + 5] = 'y';
  SYS(munmap(m, 5L << 30));
  SYS(close(fd));
  remount_pool();
  fd = SYS(open(in_pool("f").c_str(), O_RDONLY));
  char byte = 0;
  CHECK_EQ(pread(fd, &byte, 1, (2L << 30) + 5), 1);
  CHECK_EQ(byte, 'y');
  SYS(close(fd));
  unmount_pool();
}

TEST(pool_names_stay) {
  fresh_pool();
  SYS(mkdir(in_pool("d").c_str(), 0751));
  SYS(mkdir(in_pool("d/e").c_str(), 0700));
  for (int i = 0; i < 100; i++) write_file(("d/" + std::to_string(i)).c_str(), i + 1, page);
  for (int i = 0; i < 100; i += 3) SYS(unlink(in_pool(("d/" + std::to_string(i)).c_str()).c_str()));
  SYS(link(in_pool("d/1").c_str(), in_pool("d/e/link").c_str()));
  SYS(symlink("d/e/../1", in_pool("symbolic").c_str()));
  SYS(mknod(in_pool("fifo").c_str(), S_IFIFO | 0600, 0));
  SYS(mknod(in_pool("device").c_str(), S_IFBLK | 0600, makedev(8, 77)));
  SYS(rename(in_pool("d/2").c_str(), in_pool("moved").c_str()));
  SYS(rename(in_pool("d/4").c_str(), in_pool("d/5").c_str()));  // replaces
  SYS(renameat2(AT_FDCWD, in_pool("d/7").c_str(), AT_FDCWD, in_pool("d/8").c_str(),
                RENAME_EXCHANGE));
  SYS(renameat2(AT_FDCWD, in_pool("d/10").c_str(), AT_FDCWD, in_pool("d/white").c_str(),
                RENAME_WHITEOUT));
  SYS(rename(in_pool("d/e").c_str(), in_pool("e").c_str()));
  std::string name(255, 'n');
  write_file(name.c_str(), 1000, page);
  int unnamed = SYS(open(at, O_TMPFILE | O_RDWR, 0600));
  CHECK_EQ(write(unnamed, "named", 5), 5);
  SYS(linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(unnamed)).c_str(), AT_FDCWD,
             in_pool("named").c_str(), AT_SYMLINK_FOLLOW));
  SYS(close(unnamed));
  unnamed = SYS(open(at, O_TMPFILE | O_RDWR, 0600));
  CHECK_EQ(write(unnamed, "lost", 4), 4);
  SYS(close(unnamed));
  unsigned long free = 0;
  for (int turn = 0; turn < 2; turn++) {
    remount_pool();
    if (turn != 0) CHECK_EQ(free_blocks(), free);
    free = free_blocks();
    CHECK_EQ(status("d").st_nlink, 2);
    CHECK_EQ(status("d").st_mode, S_IFDIR | 0751);
    CHECK_EQ(status(".").st_nlink, 4);
    SYS_ERR(access(in_pool("d/0").c_str(), F_OK), ENOENT);
    SYS_ERR(access(in_pool("d/2").c_str(), F_OK), ENOENT);
    SYS_ERR(access(in_pool("d/e").c_str(), F_OK), ENOENT);
    check_file("d/1", 2, page);
    check_file("e/link", 2, page);
    CHECK_EQ(status("e/link").st_ino, status("d/1").st_ino);
    CHECK_EQ(status("d/1").st_nlink, 2);
    check_file("moved", 3, page);
    check_file("d/5", 5, page);
    check_file("d/7", 9, page);
    check_file("d/8", 8, page);
    check_file("d/white", 11, page);
    CHECK_EQ(status("d/10").st_mode & S_IFMT, S_IFCHR);
    CHECK_EQ(status("d/10").st_rdev, 0);
    check_file(name.c_str(), 1000, page);
    char target[100];
    CHECK_EQ(readlink(in_pool("symbolic").c_str(), target, sizeof target), 8);
    CHECK(memcmp(target, "d/e/../1", 8) == 0);
    CHECK_EQ(status("fifo").st_mode, S_IFIFO | 0600);
    CHECK_EQ(status("device").st_mode, S_IFBLK | 0600);
    CHECK_EQ(status("device").st_rdev, makedev(8, 77));
    CHECK_EQ(status("named").st_size, 5);
    CHECK_EQ(status("named").st_nlink, 1);
  }
  unmount_pool();
}

TEST(pool_attributes_stay) {
  fresh_pool();
  write_file("f", 1, 3 * page);
  const std::string path = in_pool("f");
  SYS(chmod(path.c_str(), 04751));
  SYS(chown(path.c_str(), 12, 3456));
  SYS(chmod(path.c_str(), 04751));
  const timespec times[2] = {{1234567890, 123456789}, {987654321, 987654321}};
  SYS(utimensat(AT_FDCWD, path.c_str(), times, 0));
  SYS(setxattr(path.c_str(), "user.a", "value", 5, 0));
  SYS(setxattr(path.c_str(), "trusted.b", "", 0, 0));
  SYS(setxattr(path.c_str(), "user.gone", "value", 5, 0));
  SYS(removexattr(path.c_str(), "user.gone"));
  std::string large(4000, 'l');
  SYS_ERR(setxattr(path.c_str(), "user.large", std::string(4090, 'l').data(), 4090, 0), ENOSPC);
  SYS(setxattr(path.c_str(), "user.large", large.data(), large.size(), 0));
  write_file("flags", 2, page);
  int fd = SYS(open(in_pool("flags").c_str(), O_RDONLY));
  int flags = FS_APPEND_FL | FS_NODUMP_FL;
  SYS(ioctl(fd, FS_IOC_SETFLAGS, &flags));
  SYS(close(fd));
  write_file("sealed", 3, page);
  fd = SYS(open(in_pool("sealed").c_str(), O_RDWR));
  SYS(ioctl(fd, MORSELFS_IOC_SEAL));
  SYS(close(fd));
  const struct stat before = status("f");
  for (int turn = 0; turn < 2; turn++) {
    remount_pool();
    const struct stat st = status("f");
    CHECK_EQ(st.st_mode, S_IFREG | 04751);
    CHECK_EQ(st.st_uid, 12);
    CHECK_EQ(st.st_gid, 3456);
    CHECK_EQ(st.st_ino, before.st_ino);
    CHECK_EQ(st.st_blocks, before.st_blocks);
    CHECK(memcmp(&st.st_atim, &times[0], sizeof(timespec)) == 0);
    CHECK(memcmp(&st.st_mtim, &times[1], sizeof(timespec)) == 0);
    CHECK(memcmp(&st.st_ctim, &before.st_ctim, sizeof(timespec)) == 0);
    char value[5000];
    CHECK_EQ(getxattr(path.c_str(), "user.a", value, sizeof value), 5);
    CHECK_EQ(getxattr(path.c_str(), "trusted.b", value, sizeof value), 0);
    CHECK_EQ(getxattr(path.c_str(), "user.large", value, sizeof value), 4000);
    SYS_ERR(getxattr(path.c_str(), "user.gone", value, sizeof value), ENODATA);
    SYS_ERR(open(in_pool("flags").c_str(), O_RDWR), EPERM);
    fd = SYS(open(in_pool("flags").c_str(), O_RDONLY));
    int seen = 0;
    SYS(ioctl(fd, FS_IOC_GETFLAGS, &seen));
    CHECK_EQ(seen, flags);
    SYS(close(fd));
    SYS_ERR(open(in_pool("sealed").c_str(), O_RDWR), EPERM);
    SYS_ERR(truncate(in_pool("sealed").c_str(), 0), EPERM);
    check_file("sealed", 3, page);
  }
  unmount_pool();
}

TEST(pool_stores_stay) {
  fresh_pool();
  write_file("f", 1, leaf + 3 * page);
  int fd = SYS(open(in_pool("f").c_str(), O_RDWR));
  char* m = map(fd, leaf + 3 * page, rw, MAP_SHARED);
  fill(m, 2, 0, leaf + 3 * page);
  SYS(msync(m, leaf + 3 * page, MS_SYNC));
  SYS(fsync(fd));
  SYS(munmap(m, leaf + 3 * page));
  SYS(close(fd));
  remount_pool();
  check_file("f", 2, leaf + 3 * page);
  unmount_pool();
}

// With RWF_DSYNC a write waits for pages that others are just putting in. (Whether they are durable
// then does not show here: a machine that is killed loses no cache.)
TEST(pool_synchronous_writes_beside_faults) {
  constexpr size_t pages = 64;
  fresh_pool();
  for (int turn = 0; turn < 5; turn++) {
    int fd = SYS(open(in_pool("f").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644));
    SYS(ftruncate(fd, pages * page));
    pid_t toucher = harness::spawn([&] {
      char* m = map(fd, pages * page, rw, MAP_SHARED);
      for (size_t i = 0; i < pages; i++) m[i * page + page - 1] = 't';
    });
    std::string text(page / 2, 'w');
    for (size_t i = 0; i < pages; i++) {
      iovec part = {text.data(), text.size()};
      CHECK_EQ(pwritev2(fd, &part, 1, off_t(i * page), RWF_DSYNC), text.size());
    }
    harness::join(toucher);
    SYS(close(fd));
    remount_pool();
    fd = SYS(open(in_pool("f").c_str(), O_RDONLY));
    std::string read(pages * page, 0);
    CHECK_EQ(pread(fd, read.data(), read.size(), 0), read.size());
    for (size_t i = 0; i < pages; i++) {
      CHECK(read.compare(i * page, page / 2, text) == 0);
      CHECK_EQ(read[i * page + page - 1], 't');
    }
    SYS(close(fd));
  }
  unmount_pool();
}

TEST(pool_map_sync) {
  fresh_pool();
  write_file("f", 1, 3 * page);
  int fd = SYS(open(in_pool("f").c_str(), O_RDWR));
  auto* m =
      static_cast<char*>(SYS(mmap(nullptr, 3 * page, rw, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0)));
  CHECK_FILLED(m, 1, 0, 3 * page);
  SYS(munmap(m, 3 * page));
  SYS(close(fd));
  SYS(mkdir("v", 0755));
  SYS(mount("none", "v", "morselfs", 0, ""));
  fd = SYS(open("v/f", O_RDWR | O_CREAT, 0644));
  SYS(ftruncate(fd, page));
  SYS_ERR(mmap(nullptr, page, rw, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0), EOPNOTSUPP);
  SYS(close(fd));
  SYS(umount("v"));
  unmount_pool();
}

TEST(pool_full) {
  fresh_pool();
  unsigned long free = free_blocks();
  int fd = SYS(open(in_pool("f").c_str(), O_RDWR | O_CREAT, 0644));
  SYS(ftruncate(fd, 8L << 30));  // its upper tables are there from now on
  std::string text(1 << 20, 'x');
  off_t written = 0;
  ssize_t got;
  while ((got = write(fd, text.data(), text.size())) > 0) written += got;
  CHECK_EQ(errno, ENOSPC);
  CHECK(written > off_t(free * page / 100 * 98));
  CHECK(free_blocks() < 16);
  SYS_ERR(fallocate(fd, 0, 0, written + (8 << 20)), ENOSPC);
  char* m = map(fd, 8L << 30, rw, MAP_SHARED);
  CHECK_EQ(m[0], 'x');
  while (free_blocks() > 0) {  // the last ones, through the mapping
    bool any = false;
    for (off_t offset = (written + page) / page * page; offset < written + (64L << 20);
         offset += page) {
      unsigned long had = free_blocks();
      if (had == 0) break;
      if (probe_write(m + offset, 'y') != 0) break;
      any = true;
    }
    if (!any) break;
  }
  CHECK_SIGNAL_WRITE(m + (written + (2L << 30)) / page * page, SIGBUS);
  SYS(munmap(m, 8L << 30));
  SYS_ERR(mkdir(in_pool("d").c_str(), 0755), ENOSPC);
  SYS(close(fd));
  SYS(unlink(in_pool("f").c_str()));
  for (int i = 0; free_blocks() < free - 1 && i < 300; i++) usleep(10000);
  CHECK_EQ(free_blocks(), free - 1);  // the root's names
  remount_pool();
  CHECK_EQ(free_blocks(), free - 1);
  unmount_pool();
}

TEST(pool_read_only) {
  fresh_pool();
  write_file("f", 1, 3 * page);
  unmount_pool();
  mount_pool(MS_RDONLY);
  check_file("f", 1, 3 * page);
  SYS_ERR(open(in_pool("g").c_str(), O_RDWR | O_CREAT, 0644), EROFS);
  SYS(mount("", at, "", MS_REMOUNT, ""));
  write_file("g", 2, page);
  SYS(mount("", at, "", MS_REMOUNT | MS_RDONLY, ""));
  SYS_ERR(unlink(in_pool("g").c_str()), EROFS);
  unmount_pool();
  SYS_ERR(mount(device().c_str(), at, "morselfs", 0, "norecovery"), EINVAL);
  mount_pool(MS_RDONLY, "norecovery");
  check_file("g", 2, page);
  SYS_ERR(mount("", at, "", MS_REMOUNT, ""), EROFS);
  unmount_pool();
}

std::string whole_device() {
  int fd = SYS(open(device().c_str(), O_RDONLY | O_CLOEXEC));
  std::string contents(size_t(SYS(lseek(fd, 0, SEEK_END))), 0);
  for (size_t at = 0; at < contents.size();)
    at += size_t(SYS(pread(fd, contents.data() + at, contents.size() - at, off_t(at))));
  SYS(close(fd));
  return contents;
}

// Everything that can be done to a file there, and what would write it back.
void use_read_only(const char* name, size_t bytes) {
  int fd = SYS(open(in_pool(name).c_str(), O_RDONLY));
  std::string text(bytes, 0);
  CHECK_EQ(pread(fd, text.data(), bytes, 0), bytes);
  for (int flags : {MAP_SHARED, MAP_PRIVATE}) {
    char* m = map(fd, bytes, PROT_READ, flags);
    for (size_t at = 0; at < bytes; at += page) CHECK_EQ(m[at], text[at]);
    SYS(msync(m, bytes, MS_SYNC));
    SYS(fsync(fd));
    SYS(fdatasync(fd));
    SYS(syncfs(fd));
    SYS(munmap(m, bytes));
  }
  SYS(fsync(fd));
  SYS(close(fd));
}

// Not a byte changes, not even half a leaf that a crash has left becomes a whole one.
TEST(pool_read_only_stays_as_it_is) {
  fresh_pool();
  write_file("f", 1, 8 * page);
  unmount_pool();
  {
    Image image(device());
    *image.entry(image.inode_called("f"), morsel::core::Twin::ro, 3) = 0;
  }
  const std::string crashed = whole_device();
  mount_pool(MS_RDONLY, "norecovery");
  use_read_only("f", 8 * page);
  unmount_pool();
  CHECK(whole_device() == crashed);
  mount_pool(MS_RDONLY);  // mends it
  unmount_pool();
  const std::string mended = whole_device();
  CHECK(mended != crashed);
  mount_pool(MS_RDONLY);
  use_read_only("f", 8 * page);
  unmount_pool();
  CHECK(whole_device() == mended);
}

TEST(pool_refuses) {
  fresh_pool();
  SYS(mkdir("m", 0755));
  SYS_ERR(mount(device().c_str(), "m", "morselfs", 0, ""), EBUSY);
  int fd = SYS(open((std::string(at) + "/f").c_str(), O_RDWR | O_CREAT, 0644));
  uint32_t policy = MORSELFS_HUGE_ALWAYS;
  SYS_ERR(ioctl(fd, MORSELFS_IOC_HUGE, &policy), EOPNOTSUPP);
  close(fd);
  unmount_pool();
  SYS_ERR(mount(device().c_str(), at, "morselfs", 0, "size=1m"), EINVAL);
  SYS_ERR(mount(device().c_str(), at, "morselfs", 0, "huge=always"), EINVAL);
  SYS_ERR(mount("/dev/null", at, "morselfs", 0, ""), ENOTBLK);
  SYS_ERR(mount("none", at, "morselfs", 0, "norecovery"), EINVAL);
  {
    Image image(device());
    memset(image.at(0), 0, 2 * page);
  }
  SYS_ERR(mount(device().c_str(), at, "morselfs", 0, ""), EINVAL);
}

TEST(pool_shut_down) {
  constexpr unsigned long going_down = _IOR('X', 125, uint32_t);
  for (uint32_t how = 0; how < 3; how++) {
    fresh_pool();
    write_file("f", 1, 5 * page);
    int fd = SYS(open(in_pool("f").c_str(), O_RDWR));
    char* m = map(fd, 5 * page, rw, MAP_SHARED);
    fill(m, 2, 0, 5 * page);
    SYS(ioctl(fd, going_down, &how));
    char byte;
    SYS_ERR(pread(fd, &byte, 1, 0), EIO);
    SYS_ERR(pwrite(fd, "x", 1, 0), EIO);
    SYS_ERR(fsync(fd), EIO);
    SYS_ERR(unlink(in_pool("f").c_str()), EIO);
    SYS_ERR(mkdir(in_pool("d").c_str(), 0755), EIO);
    SYS_ERR(open(in_pool("f").c_str(), O_RDONLY), EIO);
    CHECK_SIGNAL_WRITE(m + page, SIGBUS);
    CHECK_SIGNAL_READ(m + 4 * page, SIGBUS);
    SYS(munmap(m, 5 * page));
    SYS(close(fd));
    remount_pool();
    check_file("f", 2, 5 * page);  // in this machine nothing is lost in a cache
    unmount_pool();
  }
  SYS(mkdir("v", 0755));
  SYS(mount("none", "v", "morselfs", 0, ""));
  int fd = SYS(open("v", O_RDONLY));
  uint32_t how = 2;
  SYS_ERR(ioctl(fd, going_down, &how), ENOTTY);
  SYS(close(fd));
  SYS(umount("v"));
}

// Nobody stores into a mapping after that, of whatever kind it is, not even who was just about to.
TEST(pool_shut_down_ends_mappings) {
  constexpr unsigned long going_down = _IOR('X', 125, uint32_t);
  constexpr size_t bytes = leaf + 8 * page;
  fresh_pool();
  write_file("f", 1, bytes);
  int fd = SYS(open(in_pool("f").c_str(), O_RDWR));
  char* grafted = map(fd, bytes, rw, MAP_SHARED);
  char* ordinary = map(fd, bytes, rw | PROT_EXEC, MAP_SHARED);
  char* copies = map(fd, bytes, rw, MAP_PRIVATE);
  copies[3 * page] = 'c';
  auto* begun = shared<Gate>();
  pid_t children[4];
  for (size_t i = 0; i < 4; i++) {
    char* m = (i % 2 == 0 ? grafted : ordinary) + i * page;
    children[i] = harness::spawn([=] {
      for (uint64_t n = 1;; n++) {
        *reinterpret_cast<volatile uint64_t*>(m) = n;
        if (n == 1) begun->open();
        if (i >= 2) madvise(m, page, MADV_DONTNEED);  // the next store is a fault again
      }
    });
  }
  begun->wait(4);
  uint32_t how = 2;
  SYS(ioctl(fd, going_down, &how));
  for (pid_t child : children) harness::join_killed(child, SIGBUS);
  for (char* m : {grafted, ordinary}) {
    CHECK_SIGNAL_WRITE(m + 5 * page, SIGBUS);
    CHECK_SIGNAL_READ(m + leaf + 7 * page, SIGBUS);
  }
  CHECK_EQ(copies[3 * page], 'c');
  CHECK_SIGNAL_READ(copies + 5 * page, SIGBUS);
  for (char* m : {grafted, ordinary, copies}) SYS(munmap(m, bytes));
  SYS(close(fd));
  remount_pool();
  std::string text(bytes - 4 * page, 0);
  fd = SYS(open(in_pool("f").c_str(), O_RDONLY));
  CHECK_EQ(pread(fd, text.data(), text.size(), 4 * page), text.size());
  CHECK_FILLED(text.data(), 1, 4 * page, text.size());
  SYS(close(fd));
  unmount_pool();
}

// A frame that a pipe holds is not given to the next file, whatever becomes of its own.
TEST(pool_pinned_frames_wait) {
  fresh_pool();
  write_file("f", 1, 16 * page);
  int fd = SYS(open(in_pool("f").c_str(), O_RDWR)), ends[2];
  SYS(pipe(ends));
  char* m = map(fd, 16 * page, rw, MAP_SHARED);
  iovec part = {m, 8 * page};
  CHECK_EQ(vmsplice(ends[1], &part, 1, 0), 8 * page);
  SYS(munmap(m, 16 * page));
  SYS(close(fd));
  SYS(unlink(in_pool("f").c_str()));
  fd = SYS(open(in_pool("g").c_str(), O_RDWR | O_CREAT, 0644));
  std::string text(1 << 20, 'x');
  while (write(fd, text.data(), text.size()) > 0) continue;
  CHECK_EQ(errno, ENOSPC);
  std::string held(8 * page, 0);
  for (size_t done = 0; done < held.size();)
    done += size_t(SYS(read(ends[0], held.data() + done, held.size() - done)));
  CHECK_FILLED(held.data(), 1, 0, 8 * page);
  unsigned long free = free_blocks();
  for (int i = 0; free_blocks() < free + 8 && free_blocks() < 8 && i < 300; i++) usleep(10000);
  CHECK(free_blocks() >= 8);  // they came back
  SYS(close(fd));
  unmount_pool();
}

// Devices may only read what is on a pool, whatever the descriptor. What they hold is nobody
// else's; a list of frames that is kept for them is no pin.
TEST(pool_exports) {
  constexpr size_t bytes = 64 * page;
  fresh_pool();
  if (!has_dma_bufs()) SKIP("this kernel has no dma-bufs");
  int fd = make_file(in_pool("f").c_str(), 1, bytes);
  struct statfs before, after;
  morselfs_export wish = {};
  wish.size = sizeof wish;
  SYS_ERR(ioctl(fd, MORSELFS_IOC_EXPORT, &wish), EOPNOTSUPP);
  wish.flags = MORSELFS_EXPORT_READ_ONLY;
  SYS(ioctl(fd, MORSELFS_IOC_EXPORT, &wish));
  CHECK_EQ(lseek(wish.fd, 0, SEEK_END), bytes);
  char* m = map(wish.fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, bytes);
  SYS_ERR(umount(at), EBUSY);
  SYS(munmap(m, bytes));
  SYS_ERR(ioctl(fd, MORSELFS_IOC_SEAL), EBUSY);
  SYS(statfs(at, &before));
  SYS(ftruncate(fd, 0));
  usleep(300000);
  SYS(statfs(at, &after));
  CHECK(after.f_bfree < before.f_bfree + bytes / page / 2);  // parked
  close(wish.fd);
  for (int i = 0; i < 500 && after.f_bfree < before.f_bfree + bytes / page; i++) {
    usleep(10000);
    SYS(statfs(at, &after));
  }
  CHECK(after.f_bfree >= before.f_bfree + bytes / page);
  write_filled(fd, 2, 0, bytes);
  SYS(ioctl(fd, MORSELFS_IOC_EXPORT, &wish));
  close(wish.fd);
  SYS(ioctl(fd, MORSELFS_IOC_SEAL));
  SYS(ioctl(fd, MORSELFS_IOC_EXPORT, &wish));
  close(wish.fd);
  close(fd);
  remount_pool();
  check_file("f", 2, bytes);
  unmount_pool();
}

TEST(pool_unmount_waits_for_pins) {
  fresh_pool();
  write_file("f", 1, 4 * page);
  int fd = SYS(open(in_pool("f").c_str(), O_RDWR)), ends[2];
  SYS(pipe(ends));
  char* m = map(fd, 4 * page, rw, MAP_SHARED);
  iovec part = {m, 4 * page};
  CHECK_EQ(vmsplice(ends[1], &part, 1, 0), 4 * page);
  SYS(munmap(m, 4 * page));
  SYS(close(fd));
  pid_t child = harness::spawn([&] {
    usleep(500000);
    std::string held(4 * page, 0);
    CHECK_EQ(read(ends[0], held.data(), held.size()), held.size());
    CHECK_FILLED(held.data(), 1, 0, held.size());
  });
  unmount_pool();
  harness::join(child);
  mount_pool();
  check_file("f", 1, 4 * page);
  unmount_pool();
}

// What the device says can't be read is an error for its own file alone.
TEST(pool_bad_blocks) {
  fresh_pool();
  write_file("good", 1, 8 * page);
  write_file("bad", 2, 8 * page);
  unmount_pool();
  unsigned long frame;
  {
    Image image(device());
    auto* inode = image.inode_called("bad");
    frame = image.frame_of(*image.entry(inode, morsel::core::Twin::rw, 3));
  }
  list_as_bad(frame);
  mount_pool();
  CHECK(!is_read_only());
  check_file("good", 1, 8 * page);
  int fd = SYS(open(in_pool("bad").c_str(), O_RDWR));
  std::string text(page, 0);
  CHECK_EQ(pread(fd, text.data(), page, 2 * page), page);
  SYS_ERR(pread(fd, text.data(), page, 3 * page), EIO);
  SYS_ERR(pwrite(fd, text.data(), page, 3 * page), EIO);
  char* m = map(fd, 8 * page, rw, MAP_SHARED);
  CHECK_FILLED(m, 2, 0, 3 * page);
  CHECK_FILLED(m + 4 * page, 2, 4 * page, 4 * page);
  CHECK_SIGNAL_READ(m + 3 * page, SIGBUS);
  SYS(munmap(m, 8 * page));
  SYS(close(fd));
  SYS(unlink(in_pool("bad").c_str()));
  write_file("next", 3, leaf);  // and it is not used again
  check_file("next", 3, leaf);
  unmount_pool();
  forget_bad();
}

// What is no data takes its object along, and the pool becomes read-only: what else is broken?
TEST(pool_bad_blocks_of_metadata) {
  using morsel::core::Twin;
  fresh_pool();
  write_file("good", 1, 8 * page);
  write_file("bad", 2, 8 * page);
  unmount_pool();
  unsigned long table, inode;
  {
    Image image(device());
    inode = image.name("bad")->target;
    table = image.frame_of(image.inode(inode)->roots[unsigned(Twin::rw)]);
  }
  for (unsigned long frame : {table, inode}) {
    list_as_bad(frame);
    mount_pool();
    CHECK(is_read_only());
    check_file("good", 1, 8 * page);
    SYS_ERR(open(in_pool("bad").c_str(), O_RDONLY), frame == table ? EUCLEAN : ENOENT);
    unmount_pool();
    forget_bad();
  }
  for (unsigned long frame = 0; frame < 4; frame++) {
    list_as_bad(frame);
    SYS_ERR(mount(device().c_str(), at, "morselfs", 0, ""), EIO);
    forget_bad();
  }
  mount_pool();
  CHECK(!is_read_only());
  check_file("bad", 2, 8 * page);
  unmount_pool();
}

// The hardware finds a frame broken while it is mapped.
TEST(pool_memory_error) {
  fresh_pool();
  write_file("good", 1, 8 * page);
  write_file("bad", 2, 8 * page);
  int fd = SYS(open(in_pool("bad").c_str(), O_RDWR));
  char* m = map(fd, 8 * page, rw, MAP_SHARED);
  CHECK_FILLED(m, 2, 0, 8 * page);
  if (madvise(m + 3 * page, page, MADV_HWPOISON) != 0) {
    const int error = errno;
    SYS(munmap(m, 8 * page));
    SYS(close(fd));
    unmount_pool();
    if (error == EINVAL) SKIP("a kernel without memory failure handling");
    FAIL("madvise: %s", strerror(error));
  }
  CHECK_SIGNAL_READ(m + 3 * page, SIGBUS);
  CHECK_FILLED(m, 2, 0, 3 * page);
  CHECK_FILLED(m + 4 * page, 2, 4 * page, 4 * page);
  char byte;
  SYS_ERR(pread(fd, &byte, 1, 3 * page), EIO);
  check_file("good", 1, 8 * page);
  SYS(munmap(m, 8 * page));
  SYS(close(fd));
  remount_pool();  // it is still known
  fd = SYS(open(in_pool("bad").c_str(), O_RDWR));
  SYS_ERR(pread(fd, &byte, 1, 3 * page), EIO);
  SYS(close(fd));
  unmount_pool();
  forget_bad();
}

// Every allocation of a mount fails in turn (kernel/inject.c), and nothing is left of it.
TEST(pool_mount_without_memory) {
  constexpr const char* parameter = "/sys/module/morselfs/parameters/inject";
  fresh_pool();
  write_file("f", 1, 8 * page);
  SYS(setxattr(in_pool("f").c_str(), "user.a", "value", 5, 0));
  SYS(symlink("f", in_pool("l").c_str()));
  SYS(mkdir(in_pool("d").c_str(), 0755));
  write_file("d/g", 2, page);
  unmount_pool();
  int failed = 0;
  for (int n = 1;; n++) {
    tell(parameter, "any " + std::to_string(n) + " " + std::to_string(getpid()));
    const bool mounted = mount(device().c_str(), at, "morselfs", 0, "") == 0;
    const int error = errno;
    tell(parameter, "off");
    if (mounted) break;
    CHECK(error == ENOMEM || error == EINVAL);
    failed++;
    CHECK(n < 200);
  }
  CHECK(failed > 12);
  check_file("f", 1, 8 * page);
  check_file("d/g", 2, page);
  unmount_pool();
}

TEST(pool_freeze) {
  fresh_pool();
  write_file("f", 1, 3 * page);
  int fd = SYS(open(in_pool("f").c_str(), O_RDWR));
  SYS(ftruncate(fd, 8 * page));
  char* m = map(fd, 8 * page, rw, MAP_SHARED);
  SYS(ioctl(fd, FIFREEZE, 0));
  auto* done = shared<Gate>();
  pid_t maker = harness::spawn([&] {
    SYS(mkdir(in_pool("d").c_str(), 0755));
    done->open();
  });
  pid_t toucher = harness::spawn([&] {
    m[5 * page] = 'x';  // a hole
    done->open();
  });
  CHECK_EQ(m[0], char(word_at(1, 0)));
  m[8] = 'y';  // nobody can keep that away
  usleep(300000);
  CHECK_EQ(done->count, 0);
  SYS(ioctl(fd, FITHAW, 0));
  done->wait(2);
  harness::join(maker);
  harness::join(toucher);
  SYS(munmap(m, 8 * page));
  SYS(close(fd));
  remount_pool();
  CHECK_EQ(status("d").st_mode & S_IFMT, S_IFDIR);
  unmount_pool();
}

// Nothing can be filled there: holes read as zeros, in all kinds of mappings.
TEST(pool_read_only_holes) {
  fresh_pool();
  int fd = SYS(open(in_pool("f").c_str(), O_RDWR | O_CREAT, 0644));
  SYS(ftruncate(fd, 2L << 30));
  std::string text(page, 'x');
  CHECK_EQ(pwrite(fd, text.data(), page, 3 * page), page);
  SYS(close(fd));
  remount_pool();
  SYS(mount("", at, "", MS_REMOUNT | MS_RDONLY, ""));
  fd = SYS(open(in_pool("f").c_str(), O_RDONLY));
  char* m = map(fd, 2L << 30, PROT_READ, MAP_SHARED);
  char* p = map(fd, 2L << 30, rw, MAP_PRIVATE);
  for (char* from : {m, p}) {
    CHECK_ZERO(from, 3 * page);
    CHECK_EQ(from[3 * page], 'x');
    CHECK_ZERO(from + (1L << 30), 8 * page);
  }
  p[5 * page] = 'p';
  p[3 * page] = 'p';
  CHECK_EQ(m[3 * page], 'x');
  CHECK_ZERO(m + 5 * page, page);
  harness::in_child([&] {
    CHECK_ZERO(m + 5 * page, page);
    CHECK_EQ(p[5 * page], 'p');
    p[6 * page] = 'c';
  });
  CHECK_EQ(p[6 * page], 0);
  SYS(mount("", at, "", MS_REMOUNT, ""));
  int writer = SYS(open(in_pool("f").c_str(), O_RDWR));
  CHECK_EQ(pwrite(writer, text.data(), page, 5 * page), page);
  CHECK_EQ(m[5 * page], 'x');  // no zero stays
  CHECK_EQ(p[5 * page], 'p');
  SYS(munmap(m, 2L << 30));
  SYS(munmap(p, 2L << 30));
  SYS(close(fd));
  SYS(close(writer));
  unmount_pool();
}
