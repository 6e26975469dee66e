// SPDX-License-Identifier: MIT
//
// What chattr sets: immutable, append-only, no-dump, no-atime.
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>

#include <thread>

#include "files.h"

namespace {

constexpr size_t bytes = leaf + 3 * page;

// tmpfs has them since Linux 6.6.
unsigned flags_of(int fd) {
  unsigned flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) {
    CHECK(!harness::is_morselfs() && errno == ENOTTY);
    SKIP("this tmpfs has no file flags");
  }
  return flags;
}
int set_flags(int fd, unsigned flags) {
  (void)flags_of(fd);
  return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

uint64_t statx_attributes(const char* path) {
  struct statx st;
  SYS(statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &st));
  CHECK_EQ(st.stx_attributes_mask & STATX_ATTR_IMMUTABLE, STATX_ATTR_IMMUTABLE);
  return st.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP);
}

}  // namespace

TEST(flags_set_and_get) {
  int fd = create("f");
  CHECK_EQ(flags_of(fd), 0);
  for (unsigned flags : {FS_IMMUTABLE_FL, FS_APPEND_FL, FS_NODUMP_FL, FS_NOATIME_FL,
                         FS_NODUMP_FL | FS_NOATIME_FL | FS_APPEND_FL, 0}) {
    SYS(set_flags(fd, flags));
    CHECK_EQ(flags_of(fd), flags);
  }
  SYS(set_flags(fd, FS_IMMUTABLE_FL));
  CHECK_EQ(statx_attributes("f"), STATX_ATTR_IMMUTABLE);
  SYS(set_flags(fd, FS_APPEND_FL | FS_NODUMP_FL));
  CHECK_EQ(statx_attributes("f"), STATX_ATTR_APPEND | STATX_ATTR_NODUMP);
  SYS(set_flags(fd, 0));
  CHECK_EQ(statx_attributes("f"), 0);
  for (unsigned unknown : {FS_COMPR_FL, FS_SYNC_FL, FS_NOCOW_FL, FS_VERITY_FL, 1 << 31})
    SYS_ERR(set_flags(fd, unknown), EOPNOTSUPP);
  struct fsxattr more {};
  SYS(ioctl(fd, FS_IOC_FSGETXATTR, &more));
  CHECK_EQ(more.fsx_projid, 0);
  more.fsx_projid = 7;
  SYS_ERR(ioctl(fd, FS_IOC_FSSETXATTR, &more), EOPNOTSUPP);
  more.fsx_projid = 0;
  more.fsx_xflags = FS_XFLAG_IMMUTABLE;
  SYS(ioctl(fd, FS_IOC_FSSETXATTR, &more));
  CHECK_EQ(flags_of(fd), FS_IMMUTABLE_FL);
  SYS(set_flags(fd, 0));
  SYS_ERR(ioctl(fd, FS_IOC_SETFLAGS, nullptr), EFAULT);
}

TEST(flags_are_inherited) {
  SYS(mkdir("d", 0755));
  int dir = SYS(open("d", O_RDONLY | O_DIRECTORY));
  SYS(set_flags(dir, FS_NODUMP_FL | FS_NOATIME_FL));
  int fd = create("d/f");
  CHECK_EQ(flags_of(fd), FS_NODUMP_FL | FS_NOATIME_FL);
  SYS(set_flags(dir, FS_APPEND_FL));
  CHECK_EQ(flags_of(create("d/g")), 0);  // that one is the directory's own
  SYS_ERR(unlink("d/g"), EPERM);         // entries may only be added
  SYS(set_flags(dir, 0));
}

TEST(flags_of_others) {
  SYS(chmod(".", 0777));
  int fd = create("f", 0644), own = create("g", 0666);
  SYS(fchown(own, 65534, 65534));
  (void)flags_of(fd);
  as_nobody([&] {
    CHECK_EQ(flags_of(fd), 0);
    SYS_ERR(set_flags(fd, FS_NODUMP_FL), EPERM);
    SYS(set_flags(own, FS_NODUMP_FL));
    SYS_ERR(set_flags(own, FS_IMMUTABLE_FL), EPERM);  // wants CAP_LINUX_IMMUTABLE
    SYS_ERR(set_flags(own, FS_APPEND_FL), EPERM);
  });
  SYS(set_flags(own, FS_IMMUTABLE_FL));
  as_nobody([&] { SYS_ERR(set_flags(own, 0), EPERM); });
  SYS(set_flags(own, 0));
}

TEST(flags_immutable) {
  int fd = make_file("f", 1, bytes);
  int reader = SYS(open("f", O_RDONLY));
  SYS(setxattr("f", "trusted.a", "x", 1, 0));
  SYS(set_flags(reader, FS_IMMUTABLE_FL));
  for (int mode : {O_RDWR, O_WRONLY, O_RDWR | O_APPEND}) SYS_ERR(open("f", mode), EPERM);
  SYS_ERR(open("f", O_RDONLY | O_TRUNC), EPERM);
  SYS_ERR(truncate("f", 0), EPERM);
  SYS_ERR(unlink("f"), EPERM);
  SYS_ERR(rename("f", "g"), EPERM);
  SYS_ERR(link("f", "g"), EPERM);
  SYS_ERR(chmod("f", 0600), EPERM);
  SYS_ERR(chown("f", 1, 1), EPERM);
  SYS_ERR(utimensat(AT_FDCWD, "f", nullptr, 0), EPERM);
  SYS_ERR(setxattr("f", "trusted.a", "y", 1, 0), EPERM);
  SYS_ERR(removexattr("f", "trusted.a"), EPERM);
  close(create("g"));
  SYS_ERR(rename("g", "f"), EPERM);
  SYS_ERR(fallocate(fd, 0, 0, 2 * bytes), EPERM);
  SYS_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page), EPERM);
  check_file(reader, 1, 0, bytes);
  SYS(set_flags(reader, 0));
  CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
  SYS(truncate("f", 0));
  SYS(unlink("f"));
}

// A descriptor that was open for writing. tmpfs lets it write; ext4 and we don't.
TEST(flags_immutable_while_open) {
  if (!harness::is_morselfs()) SKIP("tmpfs looks at the flag only when a file is opened");
  int fd = make_file("f", 1, bytes);
  char* before = map(fd, bytes, rw, MAP_SHARED);
  char* read_only = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_PAGES(before, 1, 0, bytes);
  SYS(set_flags(fd, FS_IMMUTABLE_FL));
  SYS_ERR(mprotect(read_only, bytes, rw), EACCES);
  CHECK_SIGNAL_WRITE(read_only, SIGSEGV);
  SYS_ERR(pwrite(fd, "x", 1, 0), EPERM);
  SYS_ERR(pwrite(fd, "x", 1, bytes), EPERM);
  SYS_ERR(ftruncate(fd, 0), EPERM);
  SYS_ERR(ftruncate(fd, 2 * bytes), EPERM);
  SYS_ERR(mmap(nullptr, bytes, rw, MAP_SHARED, fd, 0), EPERM);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  SYS_ERR(mprotect(m, bytes, rw), EACCES);
  SYS_ERR(madvise(before, leaf, MADV_REMOVE), EPERM);
  CHECK_SIGNAL_WRITE(m, SIGSEGV);
  check_file(fd, 1, 0, bytes);
  CHECK_FILLED(m, 1, 0, bytes);
  CHECK_FILLED(read_only, 1, 0, bytes);
  // A mapping that was writable by then stays so.
  fill(before + leaf, 2, leaf, page);
  check_file(fd, 2, leaf, page);
  char* p = map(fd, bytes, rw, MAP_PRIVATE);
  fill(p, 3, 0, page);
  check_file(fd, 1, 0, page);
  SYS(set_flags(fd, 0));
  SYS_ERR(mprotect(m, bytes, rw), EACCES);  // it was made without the right
  fill(map(fd, bytes, rw, MAP_SHARED), 4, 0, page);
  check_file(fd, 4, 0, page);
}

// fallocate() and ftruncate() that began before chattr, and had to wait for it.
TEST(flags_set_while_others_wait) {
  if (!harness::is_morselfs()) SKIP("tmpfs does not ask again");
  int uffd = int(syscall(SYS_userfaultfd, O_CLOEXEC));
  uffdio_api api{UFFD_API, 0, 0};
  if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) != 0) SKIP("no userfaultfd: %s", strerror(errno));
  for (unsigned flag : {FS_IMMUTABLE_FL, FS_APPEND_FL}) {
    int fd = make_file("f", 1, bytes);
    // A write that stands still in the middle, with the inode locked, until its data come.
    char* missing = map(-1, page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
    uffdio_register request{{uintptr_t(missing), page}, UFFDIO_REGISTER_MODE_MISSING, 0};
    SYS(ioctl(uffd, UFFDIO_REGISTER, &request));
    constexpr useconds_t queued = 300'000;
    std::thread writer([=] { (void)!pwrite(fd, missing, page, off_t(bytes)); });
    uffd_msg message;
    CHECK_EQ(read(uffd, &message, sizeof message), sizeof message);
    std::thread chattr([=] { SYS(set_flags(fd, flag)); });
    usleep(queued);
    std::thread punch([=] {
      SYS_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page), EPERM);
    });
    std::thread cut([=] { SYS_ERR(ftruncate(fd, 0), EPERM); });
    usleep(queued);
    uffdio_zeropage zero{{uintptr_t(missing), page}, 0, 0};
    SYS(ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
    for (std::thread* thread : {&writer, &chattr, &punch, &cut}) thread->join();
    check_file(fd, 1, 0, bytes);
    SYS(set_flags(fd, 0));
    SYS(munmap(missing, page));
    SYS(unlink("f"));
    close(fd);
  }
}

TEST(flags_immutable_directory) {
  SYS(mkdir("d", 0755));
  close(create("d/f"));
  int dir = SYS(open("d", O_RDONLY | O_DIRECTORY));
  SYS(set_flags(dir, FS_IMMUTABLE_FL));
  SYS_ERR(open("d/g", O_CREAT | O_RDWR, 0644), EPERM);
  SYS_ERR(unlink("d/f"), EPERM);
  SYS_ERR(mkdir("d/e", 0755), EPERM);
  SYS_ERR(rmdir("d"), EPERM);
  write_all("d/f", "files in it are as they were");
  SYS(set_flags(dir, 0));
  SYS(unlink("d/f"));
}

TEST(flags_append_only) {
  int fd = make_file("f", 1, page);
  char* m = map(fd, page, PROT_READ, MAP_SHARED);
  SYS(set_flags(fd, FS_APPEND_FL));
  SYS_ERR(open("f", O_RDWR), EPERM);
  SYS_ERR(open("f", O_WRONLY | O_APPEND | O_TRUNC), EPERM);
  SYS_ERR(truncate("f", 0), EPERM);
  SYS_ERR(ftruncate(fd, 0), EPERM);
  SYS_ERR(unlink("f"), EPERM);
  SYS_ERR(mmap(nullptr, page, rw, MAP_SHARED, fd, 0), EACCES);
  SYS_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page), EPERM);
  if (harness::is_morselfs()) SYS_ERR(mprotect(m, page, rw), EACCES);
  int log = SYS(open("f", O_WRONLY | O_APPEND));
  SYS_ERR(fcntl(log, F_SETFL, 0), EPERM);
  if (harness::is_morselfs()) SYS_ERR(pwrite(fd, "x", 1, 0), EPERM);  // it was open by then
  CHECK_EQ(pwrite(log, "more", 4, 0), 4);
  CHECK_EQ(status("f").st_size, page + 4);
  check_file(fd, 1, 0, page);
  SYS(set_flags(fd, 0));
}
