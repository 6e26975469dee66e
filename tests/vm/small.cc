// SPDX-License-Identifier: MIT
//
// Files that end before their first 2-MiB slot does have no page tables until they are mapped. What
// is in them is the same before and after, for all who look while they get them. Only on morselfs.
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "memory.h"

namespace {

constexpr size_t most = leaf / page - 1;  // pages of the largest such file

// Pages that lie at the ends of what an xarray's node holds, and far apart.
constexpr size_t scattered[] = {0, 1, 63, 64, 200, 447, 448, most - 1};

// A file without a name whose pages `which` are there, and no others.
template <class Pages>
int make_scattered(size_t total, const Pages& which) {
  int fd = SYS(open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644));
  SYS(ftruncate(fd, off_t(total * page)));
  for (size_t p : which) write_filled(fd, 1, p * page, page);
  return fd;
}

bool among(size_t p, const std::vector<size_t>& which) {
  for (size_t w : which)
    if (w == p) return true;
  return false;
}

// All ways to look at the file but mappings.
void check_scattered(int fd, size_t total, const std::vector<size_t>& which) {
  struct stat st;
  SYS(fstat(fd, &st));
  CHECK_EQ(st.st_size, total * page);
  CHECK_EQ(st.st_blocks * 512, which.size() * page);
  CHECK_EQ(info(fd).leaves_4k, which.size());
  CHECK_EQ(info(fd).leaves_2m, 0);
  for (size_t p = 0; p < total; p++) {
    bool there = among(p, which);
    if (there)
      check_file(fd, 1, p * page, page);
    else
      check_file_zero(fd, p * page, page);
    CHECK_EQ(lseek(fd, off_t(p * page), there ? SEEK_DATA : SEEK_HOLE), p * page);
  }
}

void check_no_tables(int fd) {
  CHECK_EQ(info(fd).table_bytes, 0);
  CHECK_EQ(info(fd).mappings, 0);
}

// One table per twin is enough.
void check_tables(int fd) { CHECK_EQ(info(fd).table_bytes, 2 * page); }

// Maps the file for a moment.
void give_tables(int fd) { SYS(munmap(map(fd, page, PROT_READ, MAP_SHARED), page)); }

void punch(int fd, size_t first, size_t count) {
  SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(first * page),
                off_t(count * page)));
}

// Does something while two threads look at the file again and again.
void watched(std::function<void()> look, std::function<void()> act) {
  std::atomic<bool> stop{false};
  std::atomic<int> looks{0};
  std::vector<std::thread> watchers;
  for (int i = 0; i < 2; i++)
    watchers.emplace_back([&] {
      while (!stop) {
        look();
        looks++;
      }
    });
  auto wait = [&] {
    for (int seen = looks; looks < seen + 3;) usleep(50);
  };
  wait();
  act();
  wait();
  stop = true;
  for (auto& watcher : watchers) watcher.join();
}

}  // namespace

TEST(small_files_have_no_tables) {
  for (size_t size : {size_t(0), size_t(1), page, page + 1, 64 * page, 65 * page, most * page}) {
    int fd = make_file("f", 1, size);
    check_no_tables(fd);
    check_file(fd, 1, 0, size);
    CHECK_EQ(info(fd).leaves_4k, (size + page - 1) / page);
    SYS(fallocate(fd, 0, 0, off_t(most * page)));
    check_no_tables(fd);
    check_file(fd, 1, 0, size);
    SYS(unlink("f"));
    close(fd);
  }
  int sparse = make_sparse("f", most * page);
  check_no_tables(sparse);
  check_scattered(sparse, most, {});
}

TEST(small_file_gets_tables_by_any_mapping) {
  const std::vector<size_t> pages(std::begin(scattered), std::end(scattered));
  struct {
    int prot, flags;
  } kinds[] = {{rw, MAP_SHARED},        {PROT_READ, MAP_SHARED},
               {PROT_NONE, MAP_SHARED}, {PROT_READ | PROT_EXEC, MAP_SHARED},
               {rw, MAP_PRIVATE},       {PROT_READ, MAP_PRIVATE}};
  for (auto kind : kinds) {
    int fd = make_scattered(most, pages);
    check_no_tables(fd);
    check_scattered(fd, most, pages);
    char* m = map(fd, most * page, kind.prot, kind.flags);
    check_tables(fd);
    check_scattered(fd, most, pages);
    if (kind.prot & PROT_READ) {
      for (size_t p : pages) CHECK_FILLED(m + p * page, 1, p * page, page);
      CHECK_ZERO(m + 2 * page, page);  // fills the hole
      CHECK_EQ(info(fd).leaves_4k, pages.size() + 1);
    }
    SYS(munmap(m, most * page));
    check_tables(fd);  // a tree stays one
    for (size_t p : pages) check_file(fd, 1, p * page, page);
    close(fd);
  }
}

TEST(small_file_without_pages_is_mapped) {
  int fd = make_sparse("f", 3 * page);
  char* m = map(fd, 3 * page, rw, MAP_SHARED);
  CHECK_ZERO(m, page);
  fill(m + page, 1, page, page);
  check_file(fd, 1, page, page);
  int empty = make_sparse("g", 0);
  char* n = map(empty, page, rw, MAP_SHARED);
  CHECK_SIGNAL_READ(n, SIGBUS);
  write_filled(empty, 1, 0, page);
  CHECK_FILLED(n, 1, 0, page);
}

TEST(small_file_is_mapped_while_it_is_read) {
  const std::vector<size_t> pages(std::begin(scattered), std::end(scattered));
  for (int round = 0; round < 60; round++) {
    int fd = make_scattered(most, pages);
    watched(
        [&] {
          for (size_t p : pages) {
            alignas(8) char data[page];
            CHECK_EQ(pread(fd, data, page, off_t(p * page)), page);
            CHECK_FILLED(data, 1, p * page, page);
            CHECK_EQ(lseek(fd, off_t(p * page), SEEK_DATA), p * page);
            CHECK_EQ(lseek(fd, 300 * page, SEEK_DATA), 447 * page);
            CHECK_EQ(lseek(fd, 63 * page, SEEK_HOLE), 65 * page);
          }
        },
        [&] { give_tables(fd); });
    check_tables(fd);
    check_scattered(fd, most, pages);
    close(fd);
  }
}

// What is written meanwhile is not lost, wherever it went.
TEST(small_file_is_mapped_while_it_is_written) {
  for (int round = 0; round < 100; round++) {
    int fd = make_scattered(most, std::vector<size_t>{});
    std::atomic<size_t> done{0};
    std::thread writer([&] {
      for (size_t p = 0; p < 128; p++, done++) write_filled(fd, 1, p * page, page);
    });
    while (done < size_t(round % 100)) usleep(10);
    char* m = map(fd, most * page, rw, MAP_SHARED);
    for (size_t seen = done, p = 0; p < seen; p++) CHECK_FILLED(m + p * page, 1, p * page, page);
    writer.join();
    CHECK_PAGES(m, 1, 0, 128 * page);
    check_file(fd, 1, 0, 128 * page);
    CHECK_EQ(info(fd).leaves_4k, 128);
    check_tables(fd);
    SYS(munmap(m, most * page));
    close(fd);
  }
}

// Several map it at once, and one makes it grow.
TEST(small_file_is_mapped_by_many) {
  for (int round = 0; round < 60; round++) {
    int fd = make_scattered(5, std::vector<size_t>{0, 1, 2, 3, 4});
    std::vector<std::thread> mappers;
    for (int i = 0; i < 3; i++)
      mappers.emplace_back([&, i] {
        char* m = map(fd, 5 * page, rw, i == 1 ? MAP_PRIVATE : MAP_SHARED);
        CHECK_PAGES(m, 1, 0, 5 * page);
        SYS(munmap(m, 5 * page));
      });
    mappers.emplace_back([&] { write_filled(fd, 1, leaf - page, 2 * page); });
    for (auto& mapper : mappers) mapper.join();
    check_file(fd, 1, 0, 5 * page);
    check_file_zero(fd, 5 * page, leaf - 6 * page);
    check_file(fd, 1, leaf - page, 2 * page);
    CHECK_EQ(info(fd).leaves_4k, 7);
    close(fd);
  }
}

TEST(small_file_is_punched) {
  std::vector<size_t> all;
  for (size_t p = 0; p < 300; p++) all.push_back(p);
  for (bool tables_first : {false, true}) {
    int fd = make_scattered(300, all);
    if (tables_first) give_tables(fd);
    std::vector<size_t> left = all;
    struct {
      size_t first, count;
    } holes[] = {{0, 1}, {60, 10}, {64, 64}, {299, 1}, {5, 0}, {128, 100}, {250, 400}, {600, 9}};
    for (auto hole : holes) {
      if (hole.count) punch(fd, hole.first, hole.count);
      std::erase_if(left, [=](size_t p) { return p - hole.first < hole.count; });
      check_scattered(fd, 300, left);
    }
    // Bytes that are no whole page.
    SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * page + 8, page));
    check_file(fd, 1, 2 * page, 8);
    check_file_zero(fd, 2 * page + 8, page);
    check_file(fd, 1, 3 * page + 8, page - 8);
    CHECK_EQ(info(fd).table_bytes, tables_first ? 2 * page : 0);
    give_tables(fd);
    check_file_zero(fd, 2 * page + 8, page);
    check_file(fd, 1, 3 * page + 8, page - 8);
    for (size_t p : left) write_filled(fd, 1, p * page, page);
    check_scattered(fd, 300, left);
    punch(fd, 0, 300);
    check_scattered(fd, 300, {});
    close(fd);
  }
}

TEST(small_file_is_truncated) {
  for (bool tables_first : {false, true}) {
    std::vector<size_t> all;
    for (size_t p = 0; p < most; p++) all.push_back(p);
    int fd = make_scattered(most, all);
    if (tables_first) give_tables(fd);
    for (size_t total : {most - 1, size_t(449), size_t(65), size_t(64), size_t(1)}) {
      SYS(ftruncate(fd, off_t(total * page)));
      all.resize(total);
      check_scattered(fd, total, all);
      SYS(ftruncate(fd, off_t(most * page)));  // nothing comes back
      check_scattered(fd, most, all);
    }
    CHECK_EQ(info(fd).table_bytes, tables_first ? 2 * page : 0);
    SYS(ftruncate(fd, 100));
    SYS(ftruncate(fd, 2 * page));
    check_file(fd, 1, 0, 96);
    check_file_zero(fd, 100, 2 * page - 100);
    SYS(ftruncate(fd, 0));
    check_scattered(fd, 0, {});
    if (!tables_first) check_no_tables(fd);
    close(fd);
  }
}

// Across the end of the slot and back, by each call that makes a file grow.
TEST(small_file_grows) {
  const std::vector<size_t> pages(std::begin(scattered), std::end(scattered));
  std::function<void(int)> ways[] = {
      [](int fd) { SYS(ftruncate(fd, leaf + 5 * page)); },
      [](int fd) { SYS(ftruncate(fd, slot + 5 * page)); },
      [](int fd) { SYS(ftruncate(fd, leaf)); },
      [](int fd) { SYS(fallocate(fd, 0, leaf, page)); },
      [](int fd) { CHECK_EQ(pwrite(fd, "x", 1, leaf - 1), 1); },
      [](int fd) { CHECK_EQ(pwrite(fd, "x", 1, off_t(1) << 40), 1); },
  };
  for (auto& grow : ways) {
    int fd = make_scattered(most, pages);
    check_no_tables(fd);
    watched(
        [&] {
          for (size_t p : pages) {
            alignas(8) char data[page];
            CHECK_EQ(pread(fd, data, page, off_t(p * page)), page);
            CHECK_FILLED(data, 1, p * page, page);
          }
        },
        [&] { grow(fd); });
    CHECK(info(fd).table_bytes >= 2 * page);
    for (size_t p : pages) check_file(fd, 1, p * page, page);
    check_file_zero(fd, 2 * page, 61 * page);
    SYS(ftruncate(fd, most * page));
    check_scattered(fd, most, pages);
    char* m = map(fd, most * page, rw, MAP_SHARED);
    for (size_t p : pages) CHECK_FILLED(m + p * page, 1, p * page, page);
    SYS(munmap(m, most * page));
    close(fd);
  }
}

// Page by page into the next slot.
TEST(small_file_is_appended_to) {
  int fd = make_sparse("f", 0);
  for (size_t p = 0; p <= most + 3; p++) {
    write_filled(fd, 1, p * page, page);
    if (p < most) CHECK_EQ(info(fd).table_bytes, 0);
  }
  check_file(fd, 1, 0, (most + 4) * page);
  morselfs_info i = info(fd);
  CHECK_EQ(i.leaves_4k * page + i.leaves_2m * leaf, (most + 4) * page);
  CHECK(i.table_bytes > 0);
  SYS(ftruncate(fd, 3 * page));
  check_file(fd, 1, 0, 3 * page);
  CHECK_EQ(info(fd).leaves_4k, 3);
}

// Renamed, linked, sealed and removed while it is open: nothing of that asks for tables.
TEST(small_file_lives_without_tables) {
  int fd = make_file("f", 1, 9 * page);
  SYS(link("f", "g"));
  SYS(rename("g", "h"));
  SYS(ioctl(fd, MORSELFS_IOC_SEAL));
  check_no_tables(fd);
  int reader = SYS(open("h", O_RDONLY));
  char* m = map(reader, 9 * page, PROT_READ, MAP_SHARED);
  check_tables(fd);
  CHECK_PAGES(m, 1, 0, 9 * page);
  int unlinked = make_file("u", 1, 9 * page);
  SYS(unlink("u"));
  check_no_tables(unlinked);
  check_file(unlinked, 1, 0, 9 * page);
}
