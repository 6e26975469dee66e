// SPDX-License-Identifier: MIT
//
// Every advice of madvise(2). None may change what a shared mapping shows, but
// MADV_REMOVE, which punches a hole.
#include "memory.h"

namespace {

constexpr size_t bytes = 4 * leaf + 5 * page;
constexpr int madv_pageout = 21, madv_populate_read = 22, madv_populate_write = 23,
              madv_dontneed_locked = 24, madv_collapse = 25;

struct Part {
  size_t at, bytes;
};
// The whole, a leaf in the middle, parts of leaves, one page, the edge at the end.
constexpr Part parts[] = {
    {0, bytes},       {leaf, leaf},         {page, 2 * leaf},       {leaf + 7 * page, 9 * page},
    {3 * leaf, page}, {4 * leaf, 5 * page}, {leaf - page, 2 * page}};

// Applies the advice to all parts of a shared writable, a shared read-only and a
// private mapping; `expected` is 0, an error, or -1 for "may be refused".
void advise(int advice, int expected) {
  int fd = make_file("f", 1, bytes);
  char* m[] = {map(fd, bytes, rw, MAP_SHARED), map(fd, bytes, PROT_READ, MAP_SHARED),
               map(fd, bytes, PROT_READ, MAP_PRIVATE)};
  char* watcher = map(fd, bytes, rw, MAP_SHARED);
  for (char* one : m) {
    CHECK_PAGES(one, 1, 0, bytes);
    for (const Part& p : parts) {
      int got = madvise(one + p.at, p.bytes, advice) ? errno : 0;
      if (expected >= 0 && got != expected)
        FAIL("madvise %d: expected %s, seen %s", advice, strerror(expected), strerror(got));
      CHECK_PAGES(one, 1, 0, bytes);
    }
  }
  fill(m[0], 2, 0, bytes);
  for (char* one : m) CHECK_FILLED(one, 2, 0, bytes);
  CHECK_PAGES(watcher, 2, 0, bytes);
  for (char* one : m) SYS(munmap(one, bytes));
  CHECK_PAGES(watcher, 2, 0, bytes);
}

}  // namespace

TEST(advice_normal) { advise(MADV_NORMAL, 0); }
TEST(advice_random) { advise(MADV_RANDOM, 0); }
TEST(advice_sequential) { advise(MADV_SEQUENTIAL, 0); }
TEST(advice_willneed) { advise(MADV_WILLNEED, 0); }
TEST(advice_dontneed) { advise(MADV_DONTNEED, 0); }
TEST(advice_dontneed_locked) { advise(madv_dontneed_locked, 0); }
TEST(advice_cold) { advise(MADV_COLD, -1); }
TEST(advice_pageout) { advise(madv_pageout, -1); }
TEST(advice_free) { advise(MADV_FREE, EINVAL); }
TEST(advice_populate_read) { advise(madv_populate_read, 0); }
TEST(advice_hugepage) { advise(MADV_HUGEPAGE, -1); }
TEST(advice_nohugepage) { advise(MADV_NOHUGEPAGE, -1); }
TEST(advice_collapse) { advise(madv_collapse, -1); }
TEST(advice_mergeable) { advise(MADV_MERGEABLE, -1); }
TEST(advice_unmergeable) { advise(MADV_UNMERGEABLE, -1); }
TEST(advice_dontdump) { advise(MADV_DONTDUMP, 0); }
TEST(advice_wipeonfork) { advise(MADV_WIPEONFORK, EINVAL); }
TEST(advice_keeponfork) { advise(MADV_KEEPONFORK, -1); }
TEST(advice_unknown) { advise(4711, EINVAL); }

// VM_DONTEXPAND makes a mapping "special": the kernel refuses to dump it then.
TEST(advice_dodump) { advise(MADV_DODUMP, harness::is_morselfs() ? -1 : 0); }

TEST(advice_populate_write) {
  int fd = make_sparse("f", bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  SYS(madvise(m + leaf - page, leaf + 2 * page, madv_populate_write));
  struct stat st;
  SYS(fstat(fd, &st));
  CHECK(size_t(st.st_blocks) * 512 >= leaf + 2 * page);
  CHECK_ZERO(m, bytes);
  fill(m, 1, 0, bytes);
  SYS(madvise(m, bytes, madv_populate_write));
  CHECK_FILLED(m, 1, 0, bytes);
  char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
  SYS_ERR(madvise(r, bytes, madv_populate_write), EINVAL);
  char* p = map(fd, bytes, rw, MAP_PRIVATE);
  SYS(madvise(p, bytes, madv_populate_write));
  fill(m, 2, 0, bytes);
  CHECK_FILLED(p, 1, 0, bytes);  // copied before
  char* beyond = map(fd, bytes + 2 * leaf, rw, MAP_SHARED);
  SYS_ERR(madvise(beyond, bytes + 2 * leaf, madv_populate_write), EFAULT);
  SYS_ERR(madvise(beyond, bytes + 2 * leaf, madv_populate_read), EFAULT);
}

TEST(advice_remove_punches) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
  SYS(madvise(m + page, leaf + page, MADV_REMOVE));
  for (char* one : {m, r}) {
    CHECK_FILLED(one, 1, 0, page);
    CHECK_ZERO(one + page, leaf + page);
    CHECK_FILLED(one + leaf + 2 * page, 1, leaf + 2 * page, bytes - leaf - 2 * page);
  }
  int reader = SYS(open("f", O_RDONLY));
  char* ro = map(reader, bytes, PROT_READ, MAP_SHARED);
  SYS_ERR(madvise(ro, page, MADV_REMOVE), EACCES);
  char* p = map(fd, bytes, rw, MAP_PRIVATE);
  SYS_ERR(madvise(p, page, MADV_REMOVE), EACCES);
  CHECK_FILLED(ro, 1, 0, page);
}

// The mapping is not in the child, and the parent's stays whole.
TEST(advice_dontfork) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  SYS(madvise(m + leaf, leaf, MADV_DONTFORK));
  SYS(madvise(m + 3 * leaf + page, page, MADV_DONTFORK));
  harness::in_child([&] {
    CHECK_FILLED(m, 1, 0, leaf);
    CHECK_SIGNAL_READ(m + leaf, SIGSEGV);
    CHECK_SIGNAL_READ(m + 2 * leaf - 8, SIGSEGV);
    CHECK_FILLED(m + 2 * leaf, 1, 2 * leaf, leaf + page);
    CHECK_SIGNAL_READ(m + 3 * leaf + page, SIGSEGV);
    CHECK_FILLED(m + 3 * leaf + 2 * page, 1, 3 * leaf + 2 * page, leaf);
    fill(m, 2, 0, page);
  });
  CHECK_FILLED(m, 2, 0, page);
  CHECK_FILLED(m + page, 1, page, bytes - page);
  if (madvise(m, bytes, MADV_DOFORK) == 0)
    harness::in_child([&] { CHECK_FILLED(m + page, 1, page, bytes - page); });
}

// posix_fadvise on the descriptor, as llama.cpp does.
TEST(advice_fadvise) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  for (int advice : {POSIX_FADV_NORMAL, POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                     POSIX_FADV_WILLNEED, POSIX_FADV_NOREUSE, POSIX_FADV_DONTNEED})
    CHECK_EQ(posix_fadvise(fd, 0, 0, advice), 0);
  CHECK_FILLED(m, 1, 0, bytes);
  check_file(fd, 1, 0, bytes);
  if (readahead(fd, 0, bytes) != 0) CHECK_EQ(errno, EINVAL);  // as tmpfs
}
