// SPDX-License-Identifier: MIT
//
// mlock, mlock2, mlockall and their undoing, on ranges that grow (llama.cpp
// locks its model so) and on ranges that are split by it.
#include "memory.h"

#include <sys/resource.h>
#include <sys/syscall.h>

namespace {
constexpr size_t bytes = 4 * leaf + 5 * page;
}

TEST(lock_growing_ranges) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  for (size_t end = leaf / 2; end < bytes; end += leaf / 2) {
    SYS(mlock(m, end));
    CHECK_FILLED(m, 1, 0, bytes);
  }
  SYS(munlock(m + page, leaf));
  CHECK_FILLED(m, 1, 0, bytes);
  SYS(munmap(m, bytes));
  CHECK_SIGNAL_READ(m, SIGSEGV);
}

TEST(lock_holes_and_beyond_the_end) {
  int fd = make_sparse("f", bytes);
  char* m = map(fd, bytes + 2 * leaf, rw, MAP_SHARED);
  SYS(mlock(m, bytes));
  CHECK_ZERO(m, bytes);
  fill(m, 2, 0, bytes);
  check_file(fd, 2, 0, bytes);
  (void)!mlock(m, bytes + 2 * leaf);  // ENOMEM from most, success from a special VMA
  CHECK_SIGNAL_READ(m + bytes, SIGBUS);
  SYS(munlock(m, bytes + 2 * leaf));
  CHECK_FILLED(m, 2, 0, bytes);
}

TEST(lock_on_fault) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  SYS(syscall(SYS_mlock2, m + leaf, leaf + page, 1 /* MLOCK_ONFAULT */));
  CHECK_FILLED(m, 1, 0, bytes);
  fill(m, 2, 0, bytes);
  SYS(syscall(SYS_mlock2, m, bytes, 0));
  CHECK_FILLED(m, 2, 0, bytes);
  check_file(fd, 2, 0, bytes);
}

TEST(lock_all_present_and_future) {
  int fd = make_file("f", 1, bytes);
  char* before = map(fd, bytes, rw, MAP_SHARED);
  SYS(mlockall(MCL_CURRENT | MCL_FUTURE));
  char* after = map(fd, bytes, rw, MAP_SHARED);
  char* copy = map(fd, bytes, rw, MAP_PRIVATE);
  CHECK_FILLED(before, 1, 0, bytes);
  CHECK_FILLED(after, 1, 0, bytes);
  fill(copy, 3, 0, leaf);
  fill(after, 2, 0, bytes);
  CHECK_FILLED(before, 2, 0, bytes);
  CHECK_FILLED(copy, 3, 0, leaf);
  harness::in_child([&] { CHECK_FILLED(before, 2, 0, bytes); });
  SYS(munlockall());
  CHECK_FILLED(before, 2, 0, bytes);
  check_file(fd, 2, 0, bytes);
}

TEST(lock_flag_of_mmap) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED | MAP_LOCKED);
  CHECK_FILLED(m, 1, 0, bytes);
  SYS(ftruncate(fd, leaf));
  CHECK_SIGNAL_READ(m + leaf, SIGBUS);
  CHECK_FILLED(m, 1, 0, leaf);
}

// Memory that is locked must not count as such after it is gone.
TEST(lock_accounting_returns) {
  int fd = make_file("f", 1, bytes);
  long before = status_kib("VmLck");
  for (int i = 0; i < 5; i++) {
    char* m = map(fd, bytes, rw, MAP_SHARED);
    SYS(mlock(m, bytes));
    SYS(munmap(m + leaf, page));
    SYS(munmap(m, bytes));
  }
  CHECK_EQ(status_kib("VmLck"), before);
}
