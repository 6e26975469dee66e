// SPDX-License-Identifier: MIT
//
// MORSELFS_IOC_SEAL: contents and size that nobody can change any more.
#include <sys/uio.h>
#include <sys/xattr.h>

#include <thread>

#include "files.h"

namespace {

constexpr size_t bytes = 2 * leaf + 5 * page + 100;
constexpr size_t whole_pages = 2 * leaf + 5 * page;

int seal(int fd) { return ioctl(fd, MORSELFS_IOC_SEAL); }
bool sealed(int fd) { return info(fd).flags & MORSELFS_INFO_SEALED; }

// A file of the contents 1 whose last page is a part of one.
int make_sealable(const char* name = "f") {
  if (!harness::is_morselfs()) SKIP("only morselfs has it");
  int fd = make_file(name, 1, whole_pages);
  SYS(ftruncate(fd, bytes));
  return fd;
}

}  // namespace

TEST(seal_keeps_contents_and_size) {
  int fd = make_sealable();
  CHECK(!sealed(fd));
  SYS(seal(fd));
  CHECK(sealed(fd));
  SYS(seal(fd));
  SYS_ERR(pwrite(fd, "x", 1, 0), EPERM);
  SYS_ERR(pwrite(fd, "x", 1, bytes), EPERM);
  for (off_t size : {off_t(0), off_t(page), off_t(bytes - 1), off_t(bytes + 1)}) {
    SYS_ERR(ftruncate(fd, size), EPERM);
    SYS_ERR(truncate("f", size), EPERM);
  }
  SYS_ERR(fallocate(fd, 0, 0, 2 * bytes), EPERM);
  SYS_ERR(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 2 * bytes), EPERM);
  SYS_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page), EPERM);
  SYS_ERR(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, page), EPERM);
  for (int mode : {O_RDWR, O_WRONLY, O_RDWR | O_APPEND, O_WRONLY | O_TRUNC, O_RDONLY | O_TRUNC})
    SYS_ERR(open("f", mode), EPERM);
  SYS_ERR(mmap(nullptr, bytes, rw, MAP_SHARED, fd, 0), EPERM);
  CHECK_EQ(status(fd).st_size, bytes);
  check_file(fd, 1, 0, whole_pages);
}

TEST(seal_leaves_reading) {
  int fd = make_sealable();
  SYS(seal(fd));
  int reader = SYS(open("f", O_RDONLY));
  char* m = map(reader, bytes, PROT_READ, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, whole_pages);
  SYS_ERR(mprotect(m, bytes, rw), EACCES);
  CHECK_SIGNAL_WRITE(m, SIGSEGV);
  SYS_ERR(madvise(m, leaf, MADV_REMOVE), EACCES);
  char* p = map(reader, bytes, rw, MAP_PRIVATE);
  fill(p, 2, 0, page);
  CHECK_FILLED(p, 2, 0, page);
  check_file(reader, 1, 0, whole_pages);
}

TEST(seal_leaves_names_and_attributes) {
  int fd = make_sealable();
  SYS(seal(fd));
  SYS(chmod("f", 0400));
  SYS(chown("f", 1, 1));
  SYS(setxattr("f", "user.a", "x", 1, 0));
  SYS(utimensat(AT_FDCWD, "f", nullptr, 0));
  SYS(link("f", "g"));
  SYS(rename("g", "h"));
  SYS(unlink("f"));
  SYS(unlink("h"));
  check_file(fd, 1, 0, whole_pages);
}

// The inode's memory is used again.
TEST(seal_goes_with_the_file) {
  for (int i = 0; i < 20; i++) {
    int fd = make_sealable();
    CHECK(!sealed(fd));
    char* m = map(fd, page, rw, MAP_SHARED);  // as long as it is not, it can be written to
    fill(m, 2, 0, page);
    SYS(munmap(m, page));
    if (i % 2) {
      close(fd);
      SYS(unlink("f"));
      continue;
    }
    SYS(unlink("f"));
    close(fd);
    fd = make_sealable();
    SYS(seal(fd));
    SYS(unlink("f"));
    close(fd);
  }
}

TEST(seal_is_for_owners_that_may_write) {
  SYS(chmod(".", 0777));
  int fd = make_sealable();
  SYS(chmod("f", 0666));
  as_nobody([&] { SYS_ERR(seal(SYS(open("f", O_RDWR))), EPERM); });
  SYS_ERR(seal(SYS(open("f", O_RDONLY))), EBADF);
  int dir = SYS(open(".", O_RDONLY | O_DIRECTORY));
  SYS_ERR(seal(dir), ENOTTY);
  CHECK(!sealed(fd));
  SYS(fchown(fd, 65534, 65534));
  as_nobody([&] { SYS(seal(SYS(open("f", O_RDWR)))); });
  CHECK(sealed(fd));
}

TEST(seal_waits_for_no_writer) {
  int fd = make_sealable();
  // Also one that does not write, but could be made to.
  for (int prot : {rw, PROT_READ, PROT_NONE}) {
    char* m = map(fd, bytes, prot, MAP_SHARED);
    if (prot != PROT_NONE) CHECK_EQ(probe_read(m), 0);
    SYS_ERR(seal(fd), EBUSY);
    SYS(munmap(m, leaf));
    SYS_ERR(seal(fd), EBUSY);
    SYS(munmap(m + leaf, bytes - leaf));
  }
  CHECK(!sealed(fd));
  char* m = map(fd, page, rw, MAP_SHARED);
  fill(m, 1, 0, page);
  pid_t child = harness::spawn([&] { pause(); });
  SYS(munmap(m, page));
  SYS_ERR(seal(fd), EBUSY);
  SYS(kill(child, SIGKILL));
  harness::join_killed(child, SIGKILL);
  SYS(seal(fd));
}

TEST(seal_with_readers) {
  int fd = make_sealable();
  int reader = SYS(open("f", O_RDONLY));
  char* p = map(reader, bytes, rw, MAP_PRIVATE);
  fill(p, 2, 0, page);
  CHECK_PAGES(p + page, 1, page, whole_pages - page);
  char* m = map(reader, bytes, PROT_READ, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, whole_pages);
  char* code = map(reader, bytes, PROT_READ | PROT_EXEC, MAP_SHARED);
  CHECK_PAGES(code, 1, 0, whole_pages);
  SYS(seal(fd));
  CHECK_FILLED(p, 2, 0, page);
  CHECK_PAGES(p + page, 1, page, whole_pages - page);
  CHECK_FILLED(m, 1, 0, whole_pages);
  CHECK_FILLED(code, 1, 0, whole_pages);
}

// A pipe holds pages that came out of a mapping which could write: as a device would.
TEST(seal_waits_for_held_pages) {
  int fd = make_sealable();
  for (size_t at : {size_t(0), leaf + 7 * page, 2 * leaf + 2 * page}) {
    int pipe_ends[2];
    SYS(pipe(pipe_ends));
    char* m = map(fd, bytes, rw, MAP_SHARED);
    iovec span{m + at, page};
    CHECK_EQ(vmsplice(pipe_ends[1], &span, 1, 0), page);
    SYS(munmap(m, bytes));
    SYS_ERR(seal(fd), EBUSY);
    CHECK(!sealed(fd));
    CHECK_EQ(pwrite(fd, "x", 1, whole_pages), 1);  // it may be written to as before
    char buffer[page];
    CHECK_EQ(read(pipe_ends[0], buffer, page), page);
    CHECK_FILLED(buffer, 1, at, page);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
  }
  SYS(seal(fd));
}

// 2-MiB leaves that were cut, and whose place other frames took.
TEST(seal_finds_pages_in_a_split_leaf) {
  int fd = make_sealable();
  char* m = map(fd, bytes, rw, MAP_SHARED);
  SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * page, 4 * page));
  fill(m + 4 * page, 1, 4 * page, page);
  int pipe_ends[2];
  SYS(pipe(pipe_ends));
  iovec span{m + 4 * page, page};
  CHECK_EQ(vmsplice(pipe_ends[1], &span, 1, 0), page);
  SYS(munmap(m, bytes));
  SYS_ERR(seal(fd), EBUSY);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  SYS(seal(fd));
  check_file_zero(fd, 3 * page, page);
  check_file(fd, 1, 4 * page, page);
  check_file_zero(fd, 5 * page, 2 * page);
  check_file(fd, 1, 7 * page, whole_pages - 7 * page);
}

// Threads that write in every way until they can't: what is there once it is sealed stays there.
TEST(seal_against_writers) {
  for (int round = 0; round < 20; round++) {
    int fd = make_sealable();
    volatile bool over = false;
    std::thread mapper([&] {
      while (!over) {
        void* m = mmap(nullptr, bytes, rw, MAP_SHARED, fd, 0);
        if (m == MAP_FAILED) {
          CHECK_EQ(errno, EPERM);
          continue;
        }
        fill(static_cast<char*>(m) + page, uint64_t(random() % 1000 + 2), page, page);
        SYS(munmap(m, bytes));
      }
    });
    std::thread writer([&] {
      uint64_t n = 0;
      while (!over)
        if (pwrite(fd, &++n, sizeof n, 0) < 0) CHECK_EQ(errno, EPERM);
    });
    while (seal(fd) != 0) {
      CHECK_EQ(errno, EBUSY);
      usleep(1000);
    }
    char before[2 * page], after[2 * page];
    CHECK_EQ(pread(fd, before, sizeof before, 0), sizeof before);
    usleep(20'000);
    CHECK_EQ(pread(fd, after, sizeof after, 0), sizeof after);
    CHECK_EQ(memcmp(before, after, sizeof before), 0);
    over = true;
    mapper.join();
    writer.join();
    close(fd);
    SYS(unlink("f"));
  }
}
