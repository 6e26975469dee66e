// SPDX-License-Identifier: MIT
//
// Reading and writing.
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "files.h"

TEST(data_read_and_write) {
  int fd = create("f");
  CHECK_EQ(write(fd, "hello", 5), 5);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
  CHECK_EQ(pwrite(fd, "J", 1, 0), 1);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
  CHECK_EQ(write(fd, " world", 6), 6);
  CHECK_TEXT(read_all(fd), "Jello world");
  char buffer[16];
  CHECK_EQ(pread(fd, buffer, 16, 6), 5);
  CHECK_EQ(pread(fd, buffer, 16, 11), 0);
  CHECK_EQ(pread(fd, buffer, 16, 1 << 30), 0);
  CHECK_EQ(pread(fd, buffer, 0, 0), 0);
  CHECK_EQ(pwrite(fd, buffer, 0, 100), 0);
  CHECK_EQ(status(fd).st_size, 11);
  SYS_ERR(pread(fd, buffer, 1, -1), EINVAL);
  int reader = SYS(open("f", O_RDONLY)), writer = SYS(open("f", O_WRONLY));
  SYS_ERR(write(reader, "x", 1), EBADF);
  SYS_ERR(read(writer, buffer, 1), EBADF);
  SYS(close(SYS(open("f", O_RDWR | O_TRUNC))));
  CHECK_EQ(status(fd).st_size, 0);
  CHECK_EQ(status(fd).st_blocks, 0);
}

TEST(data_odd_pieces) {
  int fd = create("f");
  constexpr size_t total = 3 * leaf + 777;
  char* buffer = map(-1, total + page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  fill(buffer, 1, 0, total + 7);
  size_t at = 0;
  for (size_t piece = 1; at < total; piece = piece * 5 % 300007 + 1) {
    size_t now = piece < total - at ? piece : total - at;
    CHECK_EQ(write(fd, buffer + at, now), now);
    at += now;
  }
  CHECK_EQ(status(fd).st_size, total);
  char* seen = map(-1, total + page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  at = 0;
  for (size_t piece = 3; at < total; piece = piece * 7 % 200003 + 1) {
    ssize_t got = SYS(pread(fd, seen + at, piece, off_t(at)));
    CHECK(got > 0);
    at += size_t(got);
  }
  CHECK(memcmp(buffer, seen, total) == 0);
}

TEST(data_append) {
  int fd = SYS(open("f", O_RDWR | O_CREAT | O_APPEND, 0644));
  CHECK_EQ(write(fd, "one", 3), 3);
  SYS(lseek(fd, 0, SEEK_SET));
  CHECK_EQ(write(fd, "two", 3), 3);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
  CHECK_TEXT(read_all(fd), "onetwo");
}

TEST(data_append_by_processes_at_once) {
  constexpr int writers = 4, records = 100;
  create("f");
  pid_t children[writers];
  for (int who = 0; who < writers; who++)
    children[who] = harness::spawn([=] {
      int fd = SYS(open("f", O_WRONLY | O_APPEND));
      char record[97];
      memset(record, 'a' + who, sizeof record);
      for (int i = 0; i < records; i++) CHECK_EQ(write(fd, record, sizeof record), sizeof record);
    });
  for (pid_t child : children) harness::join(child);
  std::string text = read_all("f");
  CHECK_EQ(text.size(), 97 * writers * records);
  int count[writers] = {};
  for (size_t at = 0; at < text.size(); at += 97) {
    for (size_t i = 1; i < 97; i++) CHECK_EQ(text[at + i], text[at]);  // no record is torn
    count[text[at] - 'a']++;
  }
  for (int c : count) CHECK_EQ(c, records);
}

TEST(data_vectors_and_flags) {
  int fd = create("f");
  char a[5000], b[3], c[9000];
  memset(a, 'a', sizeof a);
  memset(b, 'b', sizeof b);
  memset(c, 'c', sizeof c);
  iovec parts[] = {{a, sizeof a}, {b, sizeof b}, {nullptr, 0}, {c, sizeof c}};
  CHECK_EQ(writev(fd, parts, 4), 14003);
  std::string text = read_all(fd);
  CHECK_EQ(text[4999], 'a');
  CHECK_EQ(text[5000], 'b');
  CHECK_EQ(text[5003], 'c');
  char d[14003] = {};
  iovec into[] = {{d, 1}, {d + 1, 6000}, {d + 6001, 8002}};
  CHECK_EQ(preadv(fd, into, 3, 0), 14003);
  CHECK(text == std::string(d, 14003));
  CHECK_EQ(pwritev2(fd, parts, 1, 0, RWF_APPEND), 5000);
  CHECK_EQ(status(fd).st_size, 19003);
  CHECK_EQ(pwritev2(fd, parts, 1, 0, RWF_SYNC | RWF_DSYNC), 5000);
  if (preadv2(fd, into, 3, 0, RWF_NOWAIT) < 0) CHECK(errno == EAGAIN || errno == EOPNOTSUPP);
  SYS_ERR(pwritev2(fd, parts, 1, 0, 1 << 30), EOPNOTSUPP);
}

TEST(data_sparse_and_far_out) {
  int fd = create("f");
  CHECK_EQ(pwrite(fd, "end", 3, off_t(1) << 40), 3);
  CHECK_EQ(status(fd).st_size, (1L << 40) + 3);
  // One page, or one leaf, of a terabyte.
  CHECK(status(fd).st_blocks <= 8L * (harness::has_huge_leaves() ? 512 : 1));
  char buffer[100];
  CHECK_EQ(pread(fd, buffer, 100, (1L << 40) - 50), 53);
  CHECK_ZERO(buffer, 48);
  CHECK(memcmp(buffer + 50, "end", 3) == 0);
  CHECK_EQ(pread(fd, buffer, 96, 1L << 39), 96);
  CHECK_ZERO(buffer, 96);
  char* m = map(fd, 2 * page, PROT_READ, MAP_SHARED, (1UL << 40) - page);
  CHECK(memcmp(m + page, "end", 3) == 0);
  SYS(munmap(m, 2 * page));
}

TEST(data_limits_of_size) {
  int fd = create("f");
  constexpr off_t most = INT64_MAX;
  errno = 0;
  CHECK(pwrite(fd, "x", 1, most) < 0);
  CHECK(errno == EFBIG || errno == EINVAL);
  CHECK_EQ(status(fd).st_size, 0);
  CHECK_EQ(status(fd).st_blocks, 0);
  harness::in_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{page + 10, page + 10};
    SYS(setrlimit(RLIMIT_FSIZE, &limit));
    char data[2 * page] = {};
    CHECK_EQ(pwrite(fd, data, 2 * page, 0), page + 10);
    SYS_ERR(pwrite(fd, data, 1, page + 10), EFBIG);
    SYS_ERR(ftruncate(fd, 2 * page), EFBIG);
    SYS_ERR(fallocate(fd, 0, 0, 2 * page), EFBIG);
  });
  CHECK_EQ(status(fd).st_size, page + 10);
  harness::join_killed(harness::spawn([&] {
                         rlimit limit{page, page};
                         SYS(setrlimit(RLIMIT_FSIZE, &limit));
                         (void)!pwrite(fd, "x", 1, page);
                       }),
                       SIGXFSZ);
}

TEST(data_bad_buffers) {
  int fd = make_file("f", 1, 4 * page);
  char* cut = map(-1, 3 * page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  fill(cut, 2, 0, 2 * page);
  SYS(munmap(cut + 2 * page, page));
  SYS_ERR(pwrite(fd, cut + 2 * page, page, 0), EFAULT);
  check_file(fd, 1, 0, 4 * page);
  ssize_t got = pwrite(fd, cut, 3 * page, 0);  // as much as there is, or nothing
  CHECK(got == -1 ? errno == EFAULT : got <= ssize_t(2 * page));
  if (got > 0) check_file(fd, 2, 0, size_t(got) & ~size_t(7));
  check_file(fd, 1, 2 * page, 2 * page);
  SYS_ERR(pread(fd, cut + 2 * page, page, 0), EFAULT);
  got = pread(fd, cut, 3 * page, page);
  CHECK(got == -1 ? errno == EFAULT : got <= ssize_t(2 * page));
  // A failed write into a hole leaves zeros, not what was in the memory.
  int holes = make_sparse("h", 4 * page);
  SYS_ERR(pwrite(holes, cut + 2 * page, page, page), EFAULT);
  check_file_zero(holes, 0, 4 * page);
  got = pwrite(holes, cut + 2 * page - 100, page, page);
  if (got > 0) {
    CHECK(got <= 100);
    check_file_zero(holes, page + 100, page - 100);
  }
}

// Out of and into a mapping of the same file: no deadlock, the right bytes.
TEST(data_from_own_mapping) {
  int fd = make_file("f", 1, 4 * page);
  SYS(ftruncate(fd, 2 * leaf));
  char* m = map(fd, 2 * leaf, rw, MAP_SHARED);
  CHECK_EQ(pwrite(fd, m, 4 * page, leaf), 4 * page);
  CHECK_FILLED(m + leaf, 1, 0, 4 * page);
  CHECK_EQ(pwrite(fd, m + leaf + 4 * page, page, leaf + 8 * page), page);  // a hole into a hole
  CHECK_ZERO(m + leaf + 8 * page, page);
  CHECK_EQ(pread(fd, m + leaf + 100 * page, 4 * page, 0), 4 * page);
  CHECK_FILLED(m + leaf + 100 * page, 1, 0, 4 * page);
  CHECK_EQ(pwrite(fd, m, page, 0), page);  // onto itself
  CHECK_FILLED(m, 1, 0, 4 * page);
}

TEST(data_sync) {
  int fd = make_file("f", 1, leaf);
  char* m = map(fd, leaf, rw, MAP_SHARED);
  fill(m, 2, 0, leaf);
  SYS(msync(m, leaf, MS_SYNC));
  SYS(msync(m, leaf, MS_ASYNC | MS_INVALIDATE));
  SYS(fsync(fd));
  SYS(fdatasync(fd));
  SYS(syncfs(fd));
  (void)!sync_file_range(fd, 0, leaf, SYNC_FILE_RANGE_WRITE);
  int dir = SYS(open(".", O_RDONLY | O_DIRECTORY));
  SYS(fsync(dir));
  check_file(fd, 2, 0, leaf);
}

TEST(data_locks) {
  int fd = create("f"), other = SYS(open("f", O_RDWR));
  SYS(flock(fd, LOCK_EX));
  SYS_ERR(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
  SYS(flock(fd, LOCK_UN));
  SYS(flock(other, LOCK_EX | LOCK_NB));
  struct flock range {
    F_WRLCK, SEEK_SET, 0, 10, 0
  };
  SYS(fcntl(fd, F_OFD_SETLK, &range));
  SYS_ERR(fcntl(other, F_OFD_SETLK, &range), EAGAIN);
  range.l_start = 10;
  SYS(fcntl(other, F_OFD_SETLK, &range));
}

TEST(data_seek) {
  int fd = make_file("f", 1, 1000);
  CHECK_EQ(lseek(fd, 0, SEEK_END), 1000);
  CHECK_EQ(lseek(fd, 500, SEEK_END), 1500);
  CHECK_EQ(lseek(fd, -200, SEEK_CUR), 1300);
  SYS_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
  SYS_ERR(lseek(fd, 0, 77), EINVAL);
  CHECK_EQ(write(fd, "x", 1), 1);
  CHECK_EQ(status(fd).st_size, 1301);
  check_file_zero(fd, 1000, 300);
}

TEST(data_written_by_processes_at_once) {
  constexpr size_t parts = 4, part = leaf / 2 + 24;
  int fd = create("f");
  pid_t children[parts];
  for (size_t who = 0; who < parts; who++)
    children[who] = harness::spawn([&] {
      for (size_t at = who * part; at < (who + 1) * part;) {  // pages are shared at the borders
        size_t now = (who + 1) * part - at < 1000 ? (who + 1) * part - at : 1000;
        write_filled(fd, 1, at, now);
        at += now;
      }
    });
  for (pid_t child : children) harness::join(child);
  check_file(fd, 1, 0, parts * part);
}
