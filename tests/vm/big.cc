// SPDX-License-Identifier: MIT
//
// A file of 2.3 GiB, sparse, at addresses where whole 1-GiB slots fit.
#include "memory.h"

namespace {

constexpr size_t bytes = 2 * slot + 150 * leaf + 77 * page;
constexpr size_t step = 64 * leaf;  // a page with contents every 128 MiB

int make_big() {
  size_t need = (harness::has_huge_leaves() ? leaf : page) * (bytes / step + 8);
  if (harness::free_bytes() < 2 * need) SKIP("needs 0x%zx bytes of free space", 2 * need);
  int fd = make_sparse("f", bytes);
  for (size_t at = 0; at < bytes; at += step) write_filled(fd, 1, at, page);
  write_filled(fd, 1, slot - page, 2 * page);
  write_filled(fd, 1, bytes - page, page);
  return fd;
}

void check_range(const char* m, size_t from, size_t to, uint64_t seed = 1) {
  for (size_t at = (from + step - 1) / step * step; at < to; at += step)
    CHECK_FILLED(m + at, seed, at, page);
  if (from <= slot - page && to >= slot + page)
    CHECK_FILLED(m + slot - page, seed, slot - page, 2 * page);
  if (to >= bytes) CHECK_FILLED(m + bytes - page, seed, bytes - page, page);
}

}  // namespace

TEST(big_at_slot_boundary) {
  int fd = make_big();
  for (size_t shift : {size_t(0), leaf, page, 5 * leaf + 3 * page})
    for (int prot : {rw, PROT_READ}) {
      char* m = reserve(bytes, slot, shift);
      map(fd, bytes, prot, MAP_SHARED | MAP_FIXED, 0, m);
      check_range(m, 0, bytes);
      if (prot == PROT_READ)
        CHECK_SIGNAL_WRITE(m + slot, SIGSEGV);
      else
        fill(m + slot, 1, slot, page);
      if (harness::is_morselfs() && shift == 0) CHECK_EQ(info(fd).graft_pud_slots, 2);
      harness::in_child([&] { check_range(m, 0, bytes); });
      SYS(munmap(m, bytes));
      CHECK_SIGNAL_READ(m + slot, SIGSEGV);
    }
  check_file(fd, 1, slot - page, 2 * page);
}

TEST(big_where_the_kernel_likes) {
  int fd = make_big();
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  check_range(m, 0, bytes);
  char* p = map(fd, bytes, rw, MAP_PRIVATE);
  fill(p + step, 2, step, page);
  check_range(m, 0, bytes);
  CHECK_FILLED(p + step, 2, step, page);
  check_range(p, 2 * step, bytes);
}

TEST(big_partial_unmaps) {
  int fd = make_big();
  char* m = reserve(bytes, slot);
  map(fd, bytes, rw, MAP_SHARED | MAP_FIXED, 0, m);
  check_range(m, 0, bytes);
  SYS(munmap(m, 3 * page));
  check_range(m, step, bytes);
  SYS(munmap(m + slot + leaf, page));
  CHECK_SIGNAL_READ(m + slot + leaf, SIGSEGV);
  check_range(m, step, bytes);
  SYS(munmap(m + slot + step / 2, slot / 2));
  check_range(m, step, slot + step / 2);
  check_range(m, slot + slot / 2 + step, bytes);
  SYS(mprotect(m + step, 3 * step, PROT_READ));
  CHECK_SIGNAL_WRITE(m + 2 * step, SIGSEGV);
  fill(m + 4 * step, 1, 4 * step, page);
  check_range(m, step, slot);
  SYS(munmap(m, bytes));
  char* again = map(fd, bytes, PROT_READ, MAP_SHARED);
  check_range(again, 0, bytes);
}

TEST(big_truncated_and_punched) {
  int fd = make_big();
  char* m = reserve(bytes, slot);
  map(fd, bytes, rw, MAP_SHARED | MAP_FIXED, 0, m);
  char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
  check_range(m, 0, bytes);
  check_range(r, 0, bytes);
  SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, step / 2, off_t(slot / 2)));
  for (char* one : {m, r}) {
    CHECK_ZERO(one + step, page);
    CHECK_ZERO(one + slot / 2, page);
    CHECK_FILLED(one, 1, 0, page);
    check_range(one, slot / 2 + step, bytes);
  }
  SYS(ftruncate(fd, off_t(slot + step + page)));
  for (char* one : {m, r}) {
    CHECK_SIGNAL_READ(one + slot + step + page, SIGBUS);
    CHECK_SIGNAL_READ(one + 2 * slot, SIGBUS);
    CHECK_SIGNAL_READ(one + bytes - page, SIGBUS);
    check_range(one, slot / 2 + step, slot + step + page);
  }
  SYS(ftruncate(fd, bytes));
  CHECK_ZERO(r + 2 * slot, page);
  fill(m + 2 * slot, 2, 2 * slot, page);
  CHECK_FILLED(r + 2 * slot, 2, 2 * slot, page);
  struct stat st;
  SYS(fstat(fd, &st));
  CHECK(size_t(st.st_blocks) * 512 <= 64 * leaf);
}

TEST(big_moved) {
  int fd = make_big();
  char* m = reserve(bytes, slot);
  map(fd, bytes, rw, MAP_SHARED | MAP_FIXED, 0, m);
  check_range(m, 0, bytes);
  char* to = reserve(bytes, slot);
  CHECK(mremap(m, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
  check_range(to, 0, bytes);
  CHECK_SIGNAL_READ(m, SIGSEGV);
  CHECK_SIGNAL_READ(m + slot, SIGSEGV);
  char* odd = reserve(bytes, slot, 3 * page);
  CHECK(mremap(to, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, odd) == odd);
  check_range(odd, 0, bytes);
  CHECK_SIGNAL_READ(to + 2 * slot, SIGSEGV);
}

// Two big files that take turns at the same addresses.
TEST(big_replaced) {
  int f = make_big();
  int g = make_sparse("g", bytes);
  write_filled(g, 5, slot, page);
  write_filled(g, 5, 0, page);
  char* m = reserve(bytes, slot);
  for (int i = 0; i < 4; i++) {
    map(f, bytes, i % 2 ? rw : PROT_READ, MAP_SHARED | MAP_FIXED, 0, m);
    check_range(m, 0, bytes);
    map(g, bytes, i % 2 ? PROT_READ : rw, MAP_SHARED | MAP_FIXED, 0, m);
    CHECK_FILLED(m + slot, 5, slot, page);
    CHECK_FILLED(m, 5, 0, page);
    CHECK_ZERO(m + step, page);
    map(f, slot, rw, MAP_SHARED | MAP_FIXED, slot, m + slot);  // only the slot in the middle
    check_range(m, slot, 2 * slot);
    CHECK_FILLED(m, 5, 0, page);
  }
}
