// SPDX-License-Identifier: MIT
//
// SEEK_HOLE and SEEK_DATA. With 2-MiB leaves data is found in larger pieces; what
// is said to be a hole must read as zero in any case.
#include "files.h"

namespace {
constexpr int punch_flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
constexpr size_t bytes = 6 * leaf + 100;
}  // namespace

TEST(holes_of_plain_files) {
  int fd = make_file("f", 1, leaf + 100);
  CHECK_EQ(lseek(fd, 0, SEEK_DATA), 0);
  CHECK_EQ(lseek(fd, 5000, SEEK_DATA), 5000);
  CHECK_EQ(lseek(fd, 0, SEEK_HOLE), leaf + 100);
  CHECK_EQ(lseek(fd, leaf, SEEK_HOLE), leaf + 100);
  SYS_ERR(lseek(fd, leaf + 100, SEEK_DATA), ENXIO);
  SYS_ERR(lseek(fd, leaf + 100, SEEK_HOLE), ENXIO);
  SYS_ERR(lseek(fd, -1, SEEK_DATA), ENXIO);
  int empty = create("e");
  SYS_ERR(lseek(empty, 0, SEEK_DATA), ENXIO);
  SYS_ERR(lseek(empty, 0, SEEK_HOLE), ENXIO);
  int sparse = make_sparse("s", 3UL << 40);
  SYS_ERR(lseek(sparse, 0, SEEK_DATA), ENXIO);
  CHECK_EQ(lseek(sparse, 12345, SEEK_HOLE), 12345);
}

TEST(holes_found_where_punched) {
  int fd = make_file("f", 1, bytes);
  SYS(fallocate(fd, punch_flags, 3 * page, 2 * page));
  SYS(fallocate(fd, punch_flags, leaf + page, 3 * leaf));
  SYS(fallocate(fd, punch_flags, 5 * leaf, leaf + 100));
  CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 3 * page);
  CHECK_EQ(lseek(fd, 3 * page, SEEK_DATA), 5 * page);
  CHECK_EQ(lseek(fd, 4 * page + 7, SEEK_HOLE), 4 * page + 7);
  CHECK_EQ(lseek(fd, 5 * page, SEEK_HOLE), leaf + page);
  CHECK_EQ(lseek(fd, leaf + page, SEEK_DATA), 4 * leaf + page);
  CHECK_EQ(lseek(fd, 4 * leaf + page, SEEK_HOLE), 5 * leaf);
  // The last, partial page was zeroed and is still there.
  off_t last = lseek(fd, 5 * leaf, SEEK_DATA);
  CHECK(last == -1 ? errno == ENXIO : last == off_t(6 * leaf));
}

TEST(holes_found_where_not_written) {
  int fd = make_sparse("f", bytes);
  write_filled(fd, 1, 2 * leaf + 5 * page, 2 * page);
  off_t data = SYS(lseek(fd, 0, SEEK_DATA)), hole = SYS(lseek(fd, data, SEEK_HOLE));
  if (harness::has_huge_leaves()) {
    CHECK(data >= off_t(2 * leaf) && data <= off_t(2 * leaf + 5 * page));
    CHECK(hole >= off_t(2 * leaf + 7 * page) && hole <= off_t(3 * leaf));
  } else {
    CHECK_EQ(data, 2 * leaf + 5 * page);
    CHECK_EQ(hole, 2 * leaf + 7 * page);
  }
  CHECK_EQ(lseek(fd, hole, SEEK_HOLE), hole);
  SYS_ERR(lseek(fd, hole, SEEK_DATA), ENXIO);
}

// What was stored through a mapping is data, too.
TEST(holes_filled_by_stores) {
  int fd = make_sparse("f", bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  fill(m + 4 * leaf, 1, 4 * leaf, page);
  CHECK_EQ(lseek(fd, 0, SEEK_DATA), 4 * leaf);
  SYS(munmap(m, bytes));
  CHECK_EQ(lseek(fd, 0, SEEK_DATA), 4 * leaf);
  SYS(fallocate(fd, punch_flags, 4 * leaf, leaf));
  SYS_ERR(lseek(fd, 0, SEEK_DATA), ENXIO);
}

TEST(holes_in_a_very_sparse_file) {
  int fd = make_sparse("f", 1UL << 41);
  for (size_t at : {size_t(0), slot, 600 * slot, (1UL << 41) - leaf}) write_filled(fd, 1, at, page);
  off_t at = 0;
  for (size_t expected : {size_t(0), slot, 600 * slot, (1UL << 41) - leaf}) {
    CHECK_EQ(SYS(lseek(fd, at, SEEK_DATA)), expected);
    at = SYS(lseek(fd, off_t(expected), SEEK_HOLE));
    CHECK(at > off_t(expected) && at <= off_t(expected + leaf));
  }
}

TEST(holes_walked_through) {
  int fd = make_sparse("f", bytes);
  uint64_t random = 7;
  for (int i = 0; i < 60; i++) {
    random = random * 6364136223846793005 + 1442695040888963407;
    size_t at = (random >> 20) % (bytes / page) * page;
    size_t size = ((random >> 50) % 9 + 1) * page;
    size = size < bytes - at ? size : bytes - at;
    if (i % 3 == 2)
      SYS(fallocate(fd, punch_flags, off_t(at), off_t(size)));
    else
      write_filled(fd, 1, at, size & ~size_t(7));
  }
  std::string text = read_all(fd);
  for (off_t at = 0; at < off_t(bytes);) {
    off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0) data = bytes;
    for (off_t i = at; i < data; i++) CHECK_EQ(text[size_t(i)], 0);
    at = data == off_t(bytes) ? data : SYS(lseek(fd, data, SEEK_HOLE));
    CHECK(at > data || at == off_t(bytes));
  }
}
