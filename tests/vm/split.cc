// SPDX-License-Identifier: MIT
//
// VMAs that are cut inside a 2-MiB leaf. The object belongs to others, too, and
// must stay whole.
#include <vector>

#include "memory.h"

namespace {

constexpr size_t bytes = 4 * leaf + 5 * page;
constexpr size_t cuts[] = {0,
                           page,
                           100 * page,
                           leaf - page,
                           leaf,
                           leaf + page,
                           2 * leaf - page,
                           3 * leaf + 255 * page,
                           4 * leaf,
                           4 * leaf + 2 * page};

// Changes one page of a mapping in a way that splits the VMA, for each cut. Once
// where 2-MiB slots are grafted, and once where a 1-GiB slot is.
template <class Cut>
void each_cut(int prot, Cut cut) {
  for (Place place : {Place::fits, Place::slot}) {
    int fd = make_file("f", 1, bytes);
    size_t mapped = mapped_bytes(place, bytes);
    char* watcher = map_at(place, fd, bytes, PROT_READ);
    CHECK_PAGES(watcher, 1, 0, bytes);
    for (size_t at : cuts) {
      char* m = map_at(place, fd, bytes, prot);
      CHECK_PAGES(m, 1, 0, bytes);
      cut(fd, m, at);
      CHECK_PAGES(m, 1, 0, at);
      CHECK_PAGES(m + at + page, 1, at + page, bytes - at - page);
      CHECK_PAGES(watcher, 1, 0, bytes);
      SYS(munmap(m, mapped));
      CHECK_PAGES(watcher, 1, 0, bytes);
    }
    CHECK_FILLED(watcher, 1, 0, bytes);
    SYS(ftruncate(fd, 0));  // frees what a split may have damaged
    CHECK_SIGNAL_READ(watcher, SIGBUS);
    SYS(munmap(watcher, mapped));
    close(fd);
    SYS(unlink("f"));
  }
}

}  // namespace

TEST(split_by_munmap) {
  for (int prot : {rw, PROT_READ})
    each_cut(prot, [](int, char* m, size_t at) {
      SYS(munmap(m + at, page));
      CHECK_SIGNAL_READ(m + at, SIGSEGV);
    });
}

TEST(split_by_protection) {
  each_cut(rw, [](int, char* m, size_t at) {
    SYS(mprotect(m + at, page, PROT_READ));
    CHECK_SIGNAL_WRITE(m + at, SIGSEGV);
    CHECK_PAGES(m + at, 1, at, page);
    SYS(mprotect(m + at, page, PROT_NONE));
    CHECK_SIGNAL_READ(m + at, SIGSEGV);
  });
}

TEST(split_by_protection_and_back) {
  each_cut(PROT_READ, [](int, char* m, size_t at) {
    SYS(mprotect(m + at, page, rw));
    fill(m + at, 1, at, page);
    if (at) CHECK_SIGNAL_WRITE(m + at - page, SIGSEGV);
    CHECK_SIGNAL_WRITE(m + at + page, SIGSEGV);
    SYS(mprotect(m + at, page, PROT_READ));
    CHECK_SIGNAL_WRITE(m + at, SIGSEGV);
    CHECK_PAGES(m + at, 1, at, page);
  });
}

TEST(split_by_another_mapping) {
  int other = make_file("other", 2, 2 * page);
  each_cut(rw, [=](int, char* m, size_t at) {
    map(other, page, rw, MAP_SHARED | MAP_FIXED, page, m + at);
    CHECK_FILLED(m + at, 2, page, page);
  });
  check_file(other, 2, 0, 2 * page);
}

TEST(split_by_anonymous_memory) {
  each_cut(PROT_READ, [](int, char* m, size_t at) {
    map(-1, page, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0, m + at);
    CHECK_ZERO(m + at, page);
    fill(m + at, 3, 0, page);
  });
}

TEST(split_by_advice) {
  each_cut(rw, [](int, char* m, size_t at) {
    SYS(madvise(m + at, page, MADV_DONTFORK));
    SYS(madvise(m + at, page, MADV_RANDOM));
    harness::in_child([=] { CHECK_SIGNAL_READ(m + at, SIGSEGV); });
    CHECK_PAGES(m + at, 1, at, page);
  });
}

TEST(split_by_lock) {
  each_cut(rw, [](int, char* m, size_t at) {
    SYS(mlock(m + at, page));
    CHECK_PAGES(m + at, 1, at, page);
  });
}

TEST(split_by_move) {
  char* to = reserve(page, page);
  each_cut(rw, [=](int, char* m, size_t at) {
    CHECK(mremap(m + at, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
    CHECK_FILLED(to, 1, at, page);
    CHECK_SIGNAL_READ(m + at, SIGSEGV);
  });
}

// As llama.cpp does: the model's header is unmapped, page by page exactly, and
// sometimes the end; the tensors stay in use.
TEST(split_llama_header) {
  int fd = make_file("f", 1, bytes);
  int reader = SYS(open("f", O_RDONLY));
  for (size_t header : {page, 3 * page, 137 * page, leaf - page, leaf, leaf + 400 * page}) {
    char* m = map(reader, bytes, PROT_READ, MAP_SHARED | (header % leaf ? MAP_POPULATE : 0));
    SYS(madvise(m, bytes, MADV_WILLNEED));
    CHECK_PAGES(m, 1, 0, bytes);
    SYS(munmap(m, header));
    SYS(munmap(m + bytes - 3 * page, 3 * page));
    CHECK_SIGNAL_READ(m, SIGSEGV);
    CHECK_SIGNAL_READ(m + header - page, SIGSEGV);
    CHECK_SIGNAL_READ(m + bytes - 3 * page, SIGSEGV);
    CHECK_PAGES(m + header, 1, header, bytes - 3 * page - header);
    SYS(munmap(m + header, bytes - 3 * page - header));
    CHECK_SIGNAL_READ(m + header, SIGSEGV);
  }
  check_file(fd, 1, 0, bytes);
}

TEST(split_eaten_from_both_ends) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  size_t head = 0, tail = bytes;
  for (size_t step = page; head + 2 * step < tail;
       step = step * 3 / 2 & ~(page - 1), step += page) {
    SYS(munmap(m + head, step));
    head += step;
    CHECK_PAGES(m + head, 1, head, tail - head);
    SYS(munmap(m + tail - step, step));
    tail -= step;
    CHECK_PAGES(m + head, 1, head, tail - head);
  }
  SYS(munmap(m, bytes));
  check_file(fd, 1, 0, bytes);
}

TEST(split_into_many) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  char* watcher = map(fd, bytes, PROT_READ, MAP_SHARED);
  for (size_t at = leaf / 2; at < 2 * leaf; at += 8 * page) SYS(munmap(m + at, page));
  for (size_t at = 2 * leaf; at < 3 * leaf; at += 8 * page) SYS(mprotect(m + at, page, PROT_READ));
  for (size_t at = leaf / 2; at < 2 * leaf; at += 8 * page) {
    CHECK_SIGNAL_READ(m + at, SIGSEGV);
    CHECK_PAGES(m + at + page, 1, at + page, 7 * page);
  }
  for (size_t at = 2 * leaf; at < 3 * leaf; at += 8 * page) {
    CHECK_SIGNAL_WRITE(m + at, SIGSEGV);
    CHECK_PAGES(m + at, 1, at, page);
  }
  fill(m + 3 * leaf, 2, 3 * leaf, leaf);
  CHECK_FILLED(watcher + 3 * leaf, 2, 3 * leaf, leaf);
  CHECK_FILLED(watcher, 1, 0, 3 * leaf);
  SYS(mprotect(m + 2 * leaf, leaf, rw));
  fill(m + 2 * leaf, 2, 2 * leaf, leaf);
  CHECK_FILLED(watcher + 2 * leaf, 2, 2 * leaf, leaf);
}

// A punch of one page inside a leaf, seen through everything.
TEST(split_leaf_by_punch) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
  for (size_t at : cuts) {
    CHECK_PAGES(m, 1, 0, bytes);
    SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(at), page));
    for (char* one : {m, r}) {
      CHECK_PAGES(one, 1, 0, at);
      CHECK_ZERO(one + at, page);
      CHECK_PAGES(one + at + page, 1, at + page, bytes - at - page);
    }
    fill(m + at, 1, at, page);
    CHECK_PAGES(r, 1, 0, bytes);
  }
  check_file(fd, 1, 0, bytes);
}
