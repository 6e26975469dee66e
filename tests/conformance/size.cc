// SPDX-License-Identifier: MIT
//
// truncate and fallocate: sizes, zeros, blocks.
#include <linux/falloc.h>

#include "files.h"

namespace {

constexpr int punch_flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

size_t allocated(int fd) { return size_t(status(fd).st_blocks) * 512; }

// Bytes that a file of this size, all of it written, still has after [from, to) was punched. On
// morselfs a 2-MiB frame goes as a whole, with the last page in it, unless the mount's worker was
// here before, and has put what was left of it into small ones.
struct Left {
  size_t least, most;
};

Left left_after_punch(size_t bytes, size_t from, size_t to) {
  size_t first = (from + page - 1) & ~(page - 1), last = to & ~(page - 1);
  if (to >= bytes) last = (bytes + page - 1) & ~(page - 1);
  size_t left = (bytes + page - 1) & ~(page - 1);
  if (last <= first) return {left, left};
  size_t least = left - (last - first);
  if (!harness::is_morselfs() || !harness::fills_huge_leaves()) return {least, least};
  size_t small = bytes / leaf * leaf;  // from here on the frames are of 4 KiB
  for (size_t at = 0; at < small; at += leaf)
    if (first <= at && last >= at + leaf) left -= leaf;
  size_t tail = first > small ? first : small;
  return {least, last > tail ? left - (last - tail) : left};
}

void check_allocated(int fd, Left left) {
  size_t seen = allocated(fd);
  CHECK(seen <= left.most);
  CHECK(seen >= left.least || harness::leaves_move());
}

// Contents 1 but for [from, to), which is zero.
void check_hole(int fd, size_t bytes, size_t from, size_t to) {
  std::string text = read_all(fd);
  CHECK_EQ(text.size(), bytes);
  for (size_t at = 0; at < bytes; at++) {
    uint64_t word = word_at(1, at & ~size_t(7));
    char expected = at >= from && at < to ? 0 : reinterpret_cast<char*>(&word)[at & 7];
    if (text[at] != expected)
      FAIL("byte 0x%zx: expected 0x%x, seen 0x%x", at, expected & 0xff, text[at] & 0xff);
  }
}

constexpr size_t bytes = 2 * leaf + 6 * page;

struct Range {
  size_t from, to;
};
constexpr Range ranges[] = {{0, page},
                            {10, 20},
                            {page - 1, page + 1},
                            {5, 3 * page + 7},
                            {leaf - page, leaf + page},
                            {leaf, 2 * leaf},
                            {leaf + 100, 2 * leaf - 100},
                            {2 * leaf + page + 1, bytes},
                            {0, bytes}};

}  // namespace

TEST(size_truncate) {
  int fd = make_file("f", 1, bytes);
  for (size_t size : {bytes - 1, 2 * leaf + 100, 2 * leaf, leaf + page + 5, leaf, page + 1, page,
                      size_t(100), size_t(1), size_t(0)}) {
    SYS(ftruncate(fd, off_t(size)));
    CHECK_EQ(status(fd).st_size, size);
    check_allocated(fd, left_after_punch(bytes, size, bytes));
    check_hole(fd, size, size, size);
  }
  CHECK_EQ(allocated(fd), 0);
  SYS(ftruncate(fd, 5 * leaf));
  CHECK_EQ(allocated(fd), 0);
  check_file_zero(fd, 0, leaf);
  SYS(truncate("f", 10));
  CHECK_EQ(status(fd).st_size, 10);
  SYS_ERR(ftruncate(fd, -1), EINVAL);
  SYS_ERR(truncate("missing", 1), ENOENT);
  SYS_ERR(truncate(".", 1), EISDIR);
  int reader = SYS(open("f", O_RDONLY));
  SYS_ERR(ftruncate(reader, 1), EINVAL);
}

TEST(size_truncate_zeroes_the_tail) {
  for (size_t size : {size_t(1), page - 1, page + 100, leaf - 7, leaf + 9, 2 * leaf + page - 1}) {
    int fd = make_file("f", 1, bytes);
    SYS(ftruncate(fd, off_t(size)));
    SYS(ftruncate(fd, bytes));
    check_hole(fd, bytes, size, bytes);
    close(fd);
    SYS(unlink("f"));
  }
}

TEST(size_truncate_too_far) {
  int fd = create("f");
  errno = 0;
  CHECK(ftruncate(fd, INT64_MAX) == 0 || errno == EFBIG || errno == EINVAL);
  SYS(ftruncate(fd, 0));
  SYS(ftruncate(fd, 1L << 42));
  CHECK_EQ(status(fd).st_size, 1L << 42);
  CHECK_EQ(allocated(fd), 0);
  char c = 1;
  CHECK_EQ(pread(fd, &c, 1, (1L << 42) - 1), 1);
  CHECK_EQ(c, 0);
}

TEST(size_allocate) {
  int fd = create("f");
  SYS(fallocate(fd, 0, 100, bytes - 100));
  CHECK_EQ(status(fd).st_size, bytes);
  CHECK_EQ(allocated(fd), bytes);
  check_file_zero(fd, 0, bytes);
  write_filled(fd, 1, 0, bytes);
  CHECK_EQ(allocated(fd), bytes);
  SYS(fallocate(fd, 0, 0, leaf));  // what is there stays
  check_hole(fd, bytes, 0, 0);
  SYS_ERR(fallocate(fd, 0, 0, 0), EINVAL);
  SYS_ERR(fallocate(fd, 0, -1, 10), EINVAL);
  SYS_ERR(fallocate(fd, 0, 0, -10), EINVAL);
  errno = 0;
  CHECK(fallocate(fd, 0, INT64_MAX - 5, 10) != 0 && errno == EFBIG);
  int reader = SYS(open("f", O_RDONLY));
  SYS_ERR(fallocate(reader, 0, 0, page), EBADF);
  int dir = SYS(open(".", O_RDONLY));
  SYS_ERR(fallocate(dir, 0, 0, page), EBADF);
  for (int mode : {FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE, FALLOC_FL_PUNCH_HOLE, 1 << 20})
    SYS_ERR(fallocate(fd, mode, 0, page), EOPNOTSUPP);
  CHECK_EQ(posix_fallocate(fd, 0, bytes + page), 0);
  CHECK_EQ(status(fd).st_size, bytes + page);
}

TEST(size_allocate_keeps_size) {
  int fd = make_file("f", 1, 100);
  SYS(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, leaf + page));
  CHECK_EQ(status(fd).st_size, 100);
  // morselfs looks whether there is room, and takes none beyond the end: a mapping
  // would reach it.
  CHECK_EQ(allocated(fd), harness::is_morselfs() ? page : leaf + page);
  char c;
  CHECK_EQ(pread(fd, &c, 1, 100), 0);
  char* m = map(fd, leaf, rw, MAP_SHARED);
  CHECK_SIGNAL_READ(m + page, SIGBUS);  // beyond the size, though there is memory
  SYS(ftruncate(fd, leaf));
  CHECK_ZERO(m + 104, leaf - 104);
  check_file(fd, 1, 0, 96);
  SYS(ftruncate(fd, 50));  // frees what lies beyond
  CHECK_EQ(allocated(fd), page);
}

TEST(size_punch) {
  for (const Range& range : ranges) {
    int fd = make_file("f", 1, bytes);
    SYS(fallocate(fd, punch_flags, off_t(range.from), off_t(range.to - range.from)));
    CHECK_EQ(status(fd).st_size, bytes);
    check_hole(fd, bytes, range.from, range.to);
    check_allocated(fd, left_after_punch(bytes, range.from, range.to));
    SYS(fallocate(fd, punch_flags, off_t(range.from), off_t(range.to - range.from)));
    check_hole(fd, bytes, range.from, range.to);
    close(fd);
    SYS(unlink("f"));
  }
}

TEST(size_punch_beyond_the_end) {
  int fd = make_file("f", 1, page + 100);
  SYS(fallocate(fd, punch_flags, 4 * page, leaf));
  SYS(fallocate(fd, punch_flags, page + 50, leaf));
  CHECK_EQ(status(fd).st_size, page + 100);
  check_hole(fd, page + 100, page + 50, page + 100);
  SYS_ERR(fallocate(fd, punch_flags, 0, 0), EINVAL);
  SYS_ERR(fallocate(fd, punch_flags, -5, 10), EINVAL);
}

TEST(size_zero_range) {
  int probe = create("probe");
  if (fallocate(probe, FALLOC_FL_ZERO_RANGE, 0, page) != 0) {
    CHECK(!harness::is_morselfs() && errno == EOPNOTSUPP);
    SKIP("tmpfs has no FALLOC_FL_ZERO_RANGE");
  }
  for (const Range& range : ranges) {
    int fd = make_file("f", 1, bytes);
    SYS(fallocate(fd, FALLOC_FL_ZERO_RANGE, off_t(range.from), off_t(range.to - range.from)));
    check_hole(fd, bytes, range.from, range.to);
    CHECK_EQ(allocated(fd), bytes);  // zeroed, not freed
    close(fd);
    SYS(unlink("f"));
  }
  int fd = make_file("f", 1, 100);
  SYS(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 50, leaf));
  CHECK_EQ(status(fd).st_size, 100);
  check_hole(fd, 100, 50, 100);
  SYS(fallocate(fd, FALLOC_FL_ZERO_RANGE, 80, leaf));
  CHECK_EQ(status(fd).st_size, leaf + 80);
  check_hole(fd, leaf + 80, 50, leaf + 80);
  int holes = make_sparse("h", leaf);
  SYS(fallocate(holes, FALLOC_FL_ZERO_RANGE, page, 3 * page));
  CHECK(allocated(holes) >= 3 * page);
  check_file_zero(holes, 0, leaf);
}

// Times change with the contents, the set-user-ID bit goes.
TEST(size_changes_times) {
  int fd = make_file("f", 1, 2 * page);
  timespec past[2] = {{1000, 0}, {1000, 0}};
  auto touched = [&](auto&& action) {
    SYS(futimens(fd, past));
    action();
    return status(fd).st_mtim.tv_sec != 1000 && status(fd).st_ctim.tv_sec != 1000;
  };
  CHECK(touched([&] { SYS(ftruncate(fd, page)); }));
  CHECK(touched([&] { SYS(ftruncate(fd, 2 * page)); }));
  CHECK(touched([&] { SYS(fallocate(fd, punch_flags, 0, page)); }));
  CHECK(touched([&] { CHECK_EQ(pwrite(fd, "x", 1, 0), 1); }));
}
