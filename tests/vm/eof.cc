// SPDX-License-Identifier: MIT
//
// Mappings that reach beyond the end of the file: SIGBUS past the last page,
// and only there.
#include "memory.h"

namespace {

// Checks every page around the end, and beyond it the next few and the last.
void check_end(char* m, size_t mapped, size_t file, uint64_t seed) {
  size_t pages = (file + page - 1) / page, total = mapped / page;
  for (size_t i = pages > 3 ? pages - 3 : 0; i < pages && i < total; i++) {
    uint64_t seen = 0;
    CHECK_EQ(probe_read(m + i * page, &seen), 0);
    if (i * page + 8 <= file) CHECK_EQ(seen, word_at(seed, i * page));
  }
  for (size_t i = pages; i < total && i < pages + 4; i++)
    if (int got = probe_read(m + i * page); got != SIGBUS)
      FAIL("file of 0x%zx bytes, page 0x%zx: expected SIGBUS, seen %d", file, i, got);
  if (pages < total) {
    CHECK_SIGNAL_READ(m + (total - 1) * page, SIGBUS);
    CHECK_SIGNAL_READ(m + pages * page + page - 8, SIGBUS);
  }
  if (size_t tail = file % page)
    for (size_t at = file; at < pages * page && pages <= total; at++)
      if (m[at])
        FAIL("file of 0x%zx bytes: expected zero at 0x%zx of its last page (tail 0x%zx)", file, at,
             tail);
}

constexpr size_t sizes[] = {0,
                            1,
                            page - 1,
                            page,
                            page + 1,
                            3 * page,
                            leaf - 1,
                            leaf,
                            leaf + 1,
                            leaf + page,
                            leaf + 5000,
                            2 * leaf - page,
                            2 * leaf - 1,
                            2 * leaf,
                            3 * leaf + 12345};

}  // namespace

TEST(eof_exact_for_many_sizes) {
  for (size_t size : sizes) {
    int fd = make_file("f", 1, size);
    size_t mapped = (size + page - 1) / page * page + leaf + 3 * page;
    int prots[] = {PROT_READ, rw};
    for (int prot : prots)
      for (int flags : {MAP_SHARED, MAP_PRIVATE}) {
        char* m = map(fd, mapped, prot, flags);
        check_end(m, mapped, size, 1);
        if (prot == rw) CHECK_SIGNAL_WRITE(m + mapped - page, SIGBUS);
        SYS(munmap(m, mapped));
      }
    struct stat st;
    SYS(fstat(fd, &st));
    CHECK_EQ(st.st_size, size);
    close(fd);
    SYS(unlink("f"));
  }
}

TEST(eof_moves_under_a_mapping) {
  constexpr size_t mapped = 4 * leaf;
  int fd = make_file("f", 1, 3 * leaf);
  char* m = map(fd, mapped, rw, MAP_SHARED);
  char* r = map(fd, mapped, PROT_READ, MAP_SHARED);
  size_t valid = 3 * leaf;  // bytes that still have contents 1
  for (size_t size : {3 * leaf - page, 2 * leaf + 5000, 2 * leaf, 2 * leaf - 1, 3 * leaf, leaf + 1,
                      leaf, page, 4 * leaf, size_t(1), size_t(0), leaf}) {
    SYS(ftruncate(fd, off_t(size)));
    valid = size < valid ? size : valid;
    size_t pages = (size + page - 1) / page;
    CHECK_FILLED(r, 1, 0, valid & ~size_t(7));
    CHECK_ZERO(m + ((valid + 7) & ~size_t(7)), pages * page - ((valid + 7) & ~size_t(7)));
    if (pages * page < mapped) {
      CHECK_SIGNAL_READ(m + pages * page, SIGBUS);
      CHECK_SIGNAL_READ(r + pages * page, SIGBUS);
      CHECK_SIGNAL_WRITE(m + mapped - 8, SIGBUS);
    }
  }
}

TEST(eof_tail_of_last_page_is_zeroed) {
  int fd = make_file("f", 1, 2 * leaf);
  char* m = map(fd, 2 * leaf, rw, MAP_SHARED);
  for (size_t size : {2 * leaf - 3000, leaf + page + 1, size_t(4095)}) {
    SYS(ftruncate(fd, off_t(size)));
    SYS(ftruncate(fd, 2 * leaf));
    for (size_t at = size; at < size + 2 * page && at < 2 * leaf; at++)
      if (m[at])
        FAIL("truncated to 0x%zx and back: expected zero at 0x%zx, seen 0x%x", size, at,
             m[at] & 0xff);
    check_file_zero(fd, size, 2 * leaf - size < page ? 2 * leaf - size : page);
  }
}

TEST(eof_offset_beyond_the_end) {
  int fd = make_file("f", 1, leaf);
  char* m = map(fd, 2 * leaf, rw, MAP_SHARED, 4 * leaf);
  CHECK_SIGNAL_READ(m, SIGBUS);
  CHECK_SIGNAL_WRITE(m + leaf, SIGBUS);
  SYS(ftruncate(fd, 5 * leaf));
  CHECK_EQ(probe_write(m, 77), 0);
  CHECK_SIGNAL_READ(m + leaf, SIGBUS);
  uint64_t seen;
  CHECK_EQ(pread(fd, &seen, 8, 4 * leaf), 8);
  CHECK_EQ(seen, 77);
  // An offset whose end does not fit is refused.
  SYS_ERR(mmap(nullptr, leaf, PROT_READ, MAP_SHARED, fd, off_t(~0UL << 12)), EOVERFLOW);
  SYS_ERR(mmap(nullptr, leaf, PROT_READ, MAP_SHARED, fd, 100), EINVAL);
  SYS_ERR(mmap(nullptr, 0, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
}

TEST(eof_read_into_unbacked_mapping_is_an_error) {
  int fd = make_file("f", 1, leaf);
  char* m = map(fd, 2 * leaf, rw, MAP_SHARED);
  int from = make_file("g", 2, 2 * page);
  SYS_ERR(pread(from, m + leaf, page, 0), EFAULT);
  CHECK_EQ(pread(from, m + leaf - page, 2 * page, 0), page);  // short: up to the end
  CHECK_FILLED(m + leaf - page, 2, 0, page);
}
