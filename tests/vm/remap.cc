// SPDX-License-Identifier: MIT
//
// mremap in all its forms, remap_file_pages, mseal.
#include "memory.h"

#include <sys/syscall.h>

namespace {
constexpr size_t bytes = 4 * leaf + 5 * page;
constexpr int mremap_dontunmap = 4;
constexpr long sys_mseal = 462;
}  // namespace

TEST(remap_move) {
  int fd = make_file("f", 1, bytes);
  for (size_t align : {leaf, page})
    for (size_t shift : {size_t(0), page, 100 * page}) {
      char* m = map(fd, bytes, rw, MAP_SHARED);
      CHECK_FILLED(m, 1, 0, bytes);
      char* to = reserve(bytes, align, align == leaf ? shift : 0);
      CHECK(mremap(m, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
      CHECK_FILLED(to, 1, 0, bytes);
      CHECK_SIGNAL_READ(m, SIGSEGV);
      CHECK_SIGNAL_READ(m + bytes - 8, SIGSEGV);
      to[0]++;
      to[0]--;
      SYS(munmap(to, bytes));
    }
  check_file(fd, 1, 0, bytes);
}

TEST(remap_move_a_part) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, bytes);
  char* to = reserve(2 * leaf, leaf);
  size_t from = leaf - 3 * page, size = leaf + 7 * page;
  CHECK(mremap(m + from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
  CHECK_FILLED(to, 1, from, size);
  CHECK_FILLED(m, 1, 0, from);
  CHECK_FILLED(m + from + size, 1, from + size, bytes - from - size);
  CHECK_SIGNAL_READ(m + from, SIGSEGV);
  CHECK_SIGNAL_READ(m + from + size - 8, SIGSEGV);
  fill(to, 2, from, size);
  check_file(fd, 2, from, size);
  check_file(fd, 1, 0, from);
}

TEST(remap_shrink) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  size_t now = bytes;
  for (size_t size : {4 * leaf, 3 * leaf + page, leaf + 100 * page, leaf, page}) {
    CHECK(mremap(m, now, size, 0) == m);
    CHECK_FILLED(m, 1, 0, size);
    CHECK_SIGNAL_READ(m + size, SIGSEGV);
    now = size;
  }
  check_file(fd, 1, 0, bytes);
}

TEST(remap_shrink_and_move) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, bytes);
  char* to = reserve(bytes, leaf, page);
  CHECK(mremap(m, bytes, 2 * leaf - page, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
  CHECK_FILLED(to, 1, 0, 2 * leaf - page);
  CHECK_SIGNAL_READ(m, SIGSEGV);
  CHECK_SIGNAL_READ(m + bytes - page, SIGSEGV);
}

// A morselfs mapping never grows (VM_DONTEXPAND): EFAULT, and all as before.
TEST(remap_grow) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, leaf, rw, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, leaf);
  void* got = mremap(m, leaf, bytes, MREMAP_MAYMOVE);
  if (got == MAP_FAILED) {
    CHECK(harness::is_morselfs() && errno == EFAULT);
    CHECK_FILLED(m, 1, 0, leaf);
    fill(m, 2, 0, leaf);
    check_file(fd, 2, 0, leaf);
  } else {
    CHECK_FILLED(got, 1, 0, bytes);
  }
}

// The old range stays mapped, without pages; both show the file.
TEST(remap_dontunmap) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, bytes);
  void* got = mremap(m, bytes, bytes, MREMAP_MAYMOVE | mremap_dontunmap, nullptr);
  if (got == MAP_FAILED) {
    CHECK(errno == EINVAL);
  } else {
    CHECK(got != m);
    CHECK_FILLED(got, 1, 0, bytes);
    fill(got, 2, 0, bytes);
    CHECK_FILLED(m, 2, 0, bytes);
    write_filled(fd, 1, 0, bytes);
  }
  CHECK_FILLED(m, 1, 0, bytes);
  fill(m, 3, 0, bytes);
  check_file(fd, 3, 0, bytes);
}

TEST(remap_duplicate) {  // old size 0: a second mapping of the same pages
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, bytes);
  void* got = mremap(m, 0, bytes, MREMAP_MAYMOVE);
  if (got == MAP_FAILED)
    CHECK(errno == EINVAL || errno == EFAULT);
  else
    CHECK_FILLED(got, 1, 0, bytes);
  fill(m, 2, 0, bytes);
  check_file(fd, 2, 0, bytes);
}

TEST(remap_move_private) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_PRIVATE);
  fill(m + leaf, 2, leaf, 3 * page);
  char* to = reserve(bytes, leaf, 5 * page);
  CHECK(mremap(m, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
  CHECK_FILLED(to, 1, 0, leaf);
  CHECK_FILLED(to + leaf, 2, leaf, 3 * page);
  CHECK_FILLED(to + leaf + 3 * page, 1, leaf + 3 * page, bytes - leaf - 3 * page);
  CHECK_SIGNAL_READ(m + leaf, SIGSEGV);
  check_file(fd, 1, 0, bytes);
}

TEST(remap_over_another_file) {
  int f = make_file("f", 1, bytes), g = make_file("g", 2, bytes);
  char* m = map(f, bytes, rw, MAP_SHARED);
  char* n = map(g, bytes, rw, MAP_SHARED);
  CHECK_FILLED(n, 2, 0, bytes);
  CHECK(mremap(m + leaf, leaf, leaf, MREMAP_MAYMOVE | MREMAP_FIXED, n + leaf) == n + leaf);
  CHECK_FILLED(n, 2, 0, leaf);
  CHECK_FILLED(n + leaf, 1, leaf, leaf);
  CHECK_FILLED(n + 2 * leaf, 2, 2 * leaf, bytes - 2 * leaf);
  fill(n, 3, 0, bytes);
  check_file(g, 2, leaf, leaf);
  check_file(f, 3, leaf, leaf);
}

// Non-linear mappings are emulated by the kernel with ordinary ones.
TEST(remap_file_pages_of_shared) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, bytes);
  if (syscall(SYS_remap_file_pages, m + page, leaf, 0, size_t(2 * leaf / page), 0) == 0) {
    CHECK_FILLED(m + page, 1, 2 * leaf, leaf);
  } else {
    CHECK_EQ(errno, EINVAL);
    CHECK_FILLED(m + page, 1, page, leaf);
  }
  CHECK_FILLED(m, 1, 0, page);
  CHECK_FILLED(m + leaf + page, 1, leaf + page, bytes - leaf - page);
  check_file(fd, 1, 0, bytes);
}

TEST(remap_sealed) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, bytes);
  if (syscall(sys_mseal, m + leaf, leaf, 0) != 0) {
    if (errno == ENOSYS) SKIP("this kernel has no mseal");
    FAIL("mseal: expected success, seen %s", strerror(errno));
  }
  SYS_ERR(munmap(m, bytes), EPERM);
  SYS_ERR(mprotect(m + leaf + page, page, rw), EPERM);
  SYS_ERR(mmap(m + leaf, page, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0), EPERM);
  CHECK(mremap(m + leaf, leaf, page, 0) == MAP_FAILED && errno == EPERM);
  CHECK_FILLED(m + leaf, 1, leaf, leaf);
  SYS(munmap(m, leaf));
  SYS(munmap(m + 2 * leaf, bytes - 2 * leaf));
  CHECK_FILLED(m + leaf, 1, leaf, leaf);
  SYS(ftruncate(fd, 0));  // a seal keeps the mapping, not the file
  CHECK_SIGNAL_READ(m + leaf, SIGBUS);
}
