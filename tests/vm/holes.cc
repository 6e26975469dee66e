// SPDX-License-Identifier: MIT
//
// Many fill the holes of one file at once: every page is made once, and all see
// it. Each filler leaves a word of its own in every page; a page made twice would
// lose somebody's.
#include <thread>
#include <vector>

#include "memory.h"

namespace {

constexpr size_t bytes = 3 * leaf + 9 * page, pages = bytes / page;

// Visits the pages in an order of its own.
template <class F>
void each_page(size_t who, F&& visit) {
  constexpr size_t strides[] = {1, 7, 129, 515};
  size_t p = who * 331 % pages;
  for (size_t i = 0; i < pages; i++, p = (p + strides[who % 4]) % pages) visit(p);
  for (size_t i = pages; i-- > 0;)  // whatever the stride missed
    visit(i);
}

void leave_words(char* m, size_t who) {
  each_page(who, [&](size_t p) {
    *reinterpret_cast<volatile uint64_t*>(m + p * page + who * 8) = word_at(10 + who, p);
  });
}

void check_words(const char* m, size_t fillers) {
  for (size_t p = 0; p < pages; p++)
    for (size_t who = 0; who < fillers; who++)
      if (auto seen = *reinterpret_cast<const volatile uint64_t*>(m + p * page + who * 8);
          seen != word_at(10 + who, p))
        FAIL("page 0x%zx: expected the word of filler %zu, seen 0x%llx", p, who,
             (unsigned long long)seen);
  CHECK_ZERO(m + (pages - 1) * page + fillers * 8, page - fillers * 8);
}

void check_blocks(int fd) {
  struct stat st;
  SYS(fstat(fd, &st));
  CHECK_EQ(st.st_blocks * 512, bytes);
}

char* mapping(int fd, size_t who) { return map_at(places[who % 3], fd, bytes, rw); }

}  // namespace

TEST(holes_filled_by_threads) {
  for (int round = 0; round < 4; round++) {
    int fd = make_sparse("f", bytes);
    std::vector<std::thread> threads;
    std::vector<char*> maps;
    for (size_t who = 0; who < 4; who++) maps.push_back(mapping(fd, who));
    for (size_t who = 0; who < 4; who++)
      threads.emplace_back([&, who] { leave_words(maps[who], who); });
    for (auto& thread : threads) thread.join();
    for (char* m : maps) check_words(m, 4);
    for (size_t who = 0; who < 4; who++)
      SYS(munmap(maps[who], mapped_bytes(places[who % 3], bytes)));
    check_blocks(fd);
    close(fd);
    SYS(unlink("f"));
  }
}

TEST(holes_filled_by_processes) {
  for (int round = 0; round < 4; round++) {
    int fd = make_sparse("f", bytes);
    auto* gate = shared<Gate>();
    pid_t children[4];
    for (size_t who = 0; who < 4; who++)
      children[who] = harness::spawn([&] {
        char* m = mapping(fd, who);
        gate->open();
        gate->wait(4);
        leave_words(m, who);
      });
    for (pid_t child : children) harness::join(child);
    check_words(mapping(fd, 0), 4);
    check_blocks(fd);
    close(fd);
    SYS(unlink("f"));
  }
}

// Stores, write(2), reads and a populating thread at once.
TEST(holes_filled_in_different_ways) {
  for (int round = 0; round < 3; round++) {
    int fd = make_sparse("f", bytes);
    std::vector<std::thread> threads;
    threads.emplace_back([&] { leave_words(mapping(fd, 0), 0); });
    threads.emplace_back([&] {
      each_page(1, [&](size_t p) {
        uint64_t word = word_at(11, p);
        CHECK_EQ(pwrite(fd, &word, 8, off_t(p * page + 8)), 8);
      });
    });
    threads.emplace_back([&] { leave_words(mapping(fd, 2), 2); });
    threads.emplace_back([&] {
      const char* m = map(fd, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE);
      CHECK_ZERO(m + page - 8, 8);
    });
    threads.emplace_back([&] { SYS(fallocate(fd, 0, 0, bytes)); });
    for (auto& thread : threads) thread.join();
    check_words(mapping(fd, 1), 3);
    check_blocks(fd);
    close(fd);
    SYS(unlink("f"));
  }
}

// MADV_DONTNEED takes the grafts out of an address space in which other threads
// fault on holes at the same time.
TEST(holes_filled_against_dontneed) {
  for (int round = 0; round < 3; round++) {
    int fd = make_sparse("f", bytes);
    char* m = mapping(fd, 0);
    volatile bool stop = false;
    std::vector<std::thread> threads;
    std::thread spoiler([&] {
      for (size_t i = 0; !stop; i++) {
        size_t at = i % 5 * leaf / 2, size = i % 3 ? leaf : bytes - at;
        SYS(madvise(m + at, size < bytes - at ? size : bytes - at, MADV_DONTNEED));
      }
    });
    for (size_t who = 0; who < 3; who++) threads.emplace_back([&, who] { leave_words(m, who); });
    for (auto& thread : threads) thread.join();
    stop = true;
    spoiler.join();
    check_words(m, 3);
    check_blocks(fd);
    munmap(m, bytes);
    close(fd);
    SYS(unlink("f"));
  }
}

// Fillers against a puncher: what is read is zero or what was stored there last.
TEST(holes_filled_against_punch) {
  int fd = make_sparse("f", bytes);
  char* m = mapping(fd, 0);
  volatile bool stop = false;
  std::vector<std::thread> threads;
  for (size_t who = 0; who < 3; who++)
    threads.emplace_back([&, who] {
      char* mine = who == 2 ? mapping(fd, 1) : m;
      while (!stop)
        each_page(who, [&](size_t p) {
          auto* word = reinterpret_cast<volatile uint64_t*>(mine + p * page + who * 8);
          uint64_t seen = *word;
          if (seen && seen != word_at(10 + who, p))
            FAIL("page 0x%zx: expected zero or the word of filler %zu, seen 0x%llx", p, who,
                 (unsigned long long)seen);
          *word = word_at(10 + who, p);
        });
    });
  for (size_t i = 0; i < 150; i++) {
    size_t at = i * 37 % pages, count = 1 + i * 101 % 700;
    SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(at * page),
                  off_t((count < pages - at ? count : pages - at) * page)));
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes));
  CHECK_ZERO(m, bytes);
}

// Who touches holes at a constant distance gets some of the next ones, too: none of those between,
// none behind the end, and about as many as he has touched.
TEST(holes_touched_at_a_distance) {
  constexpr size_t small = 500 * page;  // no large leaf fits
  for (size_t distance : {1, 3, 16, 200}) {
    int fd = make_sparse("f", small);
    char* m = map(fd, small, rw, MAP_SHARED);
    size_t touched = 0;
    for (size_t at = 0; at < small / 2; at += distance * page, touched++) m[at] = 1;
    for (size_t p = 0; p < small / page; p++) {
      off_t data = lseek(fd, off_t(p * page), SEEK_DATA);
      bool present = data == off_t(p * page);
      if (p % distance != 0 && present) FAIL("distance %zu: page %zu is not a hole", distance, p);
      if (p % distance == 0 && p < small / page / 2 && !present)
        FAIL("distance %zu: page %zu is a hole", distance, p);
    }
    struct stat st;
    SYS(fstat(fd, &st));
    if (size_t got = st.st_blocks * 512 / page; got > 2 * touched || got > touched + 32)
      FAIL("distance %zu: %zu pages were touched, and there are %zu", distance, touched, got);
    for (size_t at = 0; at < small; at += page) m[at] = 1;
    SYS(fstat(fd, &st));
    CHECK_EQ(st.st_blocks * 512, small);
    CHECK_ZERO(m + 1, page - 1);
    SYS(munmap(m, small));
    close(fd);
    SYS(unlink("f"));
  }
}

// Small pages are filled ahead where a table for small pages is: not where a large leaf may come.
TEST(holes_filled_ahead_leave_room_for_large_leaves) {
  if (!harness::has_huge_leaves()) SKIP("about huge=always");
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
  int fd = make_file("f", 1, page);  // while it is that short, a small page
  SYS(ftruncate(fd, 4 * leaf));
  char* m = map(fd, 4 * leaf, rw, MAP_SHARED);
  for (size_t at = 0; at < 4 * leaf; at += page) m[at + 8] = 1;
  CHECK_EQ(info(fd).leaves_2m, 3);
  CHECK_EQ(info(fd).leaves_4k, 512);
}

// Who reads holes through a mapping is no reason not to seal the file.
TEST(holes_filled_against_seal) {
  for (int round = 0; round < 20; round++) {
    int fd = make_sparse("f", bytes);
    int reader = SYS(open("f", O_RDONLY));
    const char* m = map(reader, bytes, PROT_READ, MAP_SHARED);
    std::thread thread([&] { CHECK_ZERO(m, bytes); });
    SYS(ioctl(fd, MORSELFS_IOC_SEAL));
    thread.join();
    SYS(munmap(const_cast<char*>(m), bytes));
    close(reader);
    close(fd);
    SYS(unlink("f"));
  }
}
