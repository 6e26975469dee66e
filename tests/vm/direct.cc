// SPDX-License-Identifier: MIT
//
// Devices and pipes hold pages of an object: O_DIRECT into and out of mappings,
// and pins that outlive the data.
#include <atomic>
#include <thread>

#include <sys/uio.h>

#include "disk.h"

namespace {

constexpr size_t bytes = 4 * leaf + 16 * page;

}  // namespace

TEST(direct_read_into_mapping) {
  int disk = fill_disk(7);
  int fd = make_file("f", 1, bytes);
  char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
  for (size_t shift : {size_t(0), page}) {
    char* m = reserve(bytes, leaf, shift);
    map(fd, bytes, rw, MAP_SHARED | MAP_FIXED, 0, m);
    CHECK_EQ(pread(disk, m + 3 * page, page, 3 * page), page);
    CHECK_EQ(pread(disk, m + leaf - page, 2 * page, leaf - page), 2 * page);
    CHECK_EQ(pread(disk, m + 2 * leaf, leaf, 2 * leaf), leaf);
    CHECK_EQ(pread(disk, m + 4 * leaf + page, 5 * page, 4 * leaf + page), 5 * page);
    for (char* one : {m, r}) {
      CHECK_FILLED(one, 1, 0, 3 * page);
      CHECK_FILLED(one + 3 * page, 7, 3 * page, page);
      CHECK_FILLED(one + leaf - page, 7, leaf - page, 2 * page);
      CHECK_FILLED(one + 2 * leaf, 7, 2 * leaf, leaf);
      CHECK_FILLED(one + 4 * leaf + page, 7, 4 * leaf + page, 5 * page);
      CHECK_FILLED(one + 4 * leaf + 6 * page, 1, 4 * leaf + 6 * page, 10 * page);
    }
    check_file(fd, 7, 2 * leaf, leaf);
    SYS(munmap(m, bytes));
    write_filled(fd, 1, 0, bytes);
  }
}

TEST(direct_read_into_holes) {
  int disk = fill_disk(7);
  int fd = make_sparse("f", bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_EQ(pread(disk, m + leaf + page, leaf, leaf + page), leaf);  // never touched before
  CHECK_FILLED(m + leaf + page, 7, leaf + page, leaf);
  check_file(fd, 7, leaf + page, leaf);
  check_file_zero(fd, 0, leaf + page);
}

TEST(direct_read_into_private_mapping) {
  int disk = fill_disk(7);
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_PRIVATE);
  CHECK_PAGES(m, 1, 0, bytes);
  CHECK_EQ(pread(disk, m + leaf, leaf, leaf), leaf);
  CHECK_FILLED(m + leaf, 7, leaf, leaf);
  CHECK_FILLED(m, 1, 0, leaf);
  check_file(fd, 1, 0, bytes);
}

TEST(direct_write_out_of_mapping) {
  int disk = open_disk();
  int fd = make_file("f", 3, bytes);
  int reader = SYS(open("f", O_RDONLY));
  char* maps[] = {map(fd, bytes, rw, MAP_SHARED), map(reader, bytes, PROT_READ, MAP_SHARED),
                  map(fd, bytes, PROT_READ, MAP_PRIVATE)};
  for (char* m : maps) {
    fill_disk(9);
    CHECK_EQ(pwrite(disk, m, 2 * leaf, 0), 2 * leaf);
    CHECK_EQ(pwrite(disk, m + 2 * leaf, page, 2 * leaf), page);
    iovec parts[] = {{m + 2 * leaf + page, 3 * page},
                     {m + 2 * leaf + 4 * page, bytes - 2 * leaf - 4 * page}};
    CHECK_EQ(pwritev(disk, parts, 2, 2 * leaf + page), bytes - 2 * leaf - page);
    check_disk(disk, 3, bytes);
  }
}

TEST(direct_write_out_of_holes) {
  int disk = fill_disk(9);
  int fd = make_sparse("f", bytes);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_EQ(pwrite(disk, m + leaf, 4 * page, 0), 4 * page);
  char* buffer = map(-1, 8 * page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  CHECK_EQ(pread(disk, buffer, 8 * page, 0), 8 * page);
  CHECK_ZERO(buffer, 4 * page);
  CHECK_FILLED(buffer + 4 * page, 9, 4 * page, 4 * page);
}

// What lies in the pipe is the memory itself. It must keep its contents and not be
// anyone else's, until it is read from the pipe.
template <class Change>
static void pinned_in_pipe(Change change) {
  for (size_t from : {size_t(0), leaf - 4 * page, 4 * leaf}) {
    int fd = make_file("f", 1, bytes);
    char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
    int ends[2];
    SYS(pipe(ends));
    constexpr size_t held = 8 * page;
    iovec part{m + from, held};
    CHECK_EQ(SYS(vmsplice(ends[1], &part, 1, SPLICE_F_NONBLOCK)), held);
    change(fd, m);
    int other = make_file("g", 2, bytes);  // wants memory
    auto buffer = map(-1, held, rw, MAP_PRIVATE | MAP_ANONYMOUS);
    CHECK_EQ(read(ends[0], buffer, held), held);
    CHECK_FILLED(buffer, 1, from, held);
    check_file(other, 2, 0, bytes);
    munmap(m, bytes);
    munmap(buffer, held);
    for (int one : {fd, other, ends[0], ends[1]}) close(one);
    SYS(unlink("g"));
    unlink("f");
  }
}

TEST(direct_pin_across_truncate) {
  pinned_in_pipe([](int fd, char*) { SYS(ftruncate(fd, 0)); });
}

TEST(direct_pin_across_punch) {
  pinned_in_pipe([](int fd, char* m) {
    SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes));
    CHECK_ZERO(m, page);
    CHECK_ZERO(m + leaf - page, 2 * page);
  });
}

TEST(direct_pin_across_unlink_and_unmap) {
  pinned_in_pipe([](int fd, char* m) {
    SYS(unlink("f"));
    SYS(munmap(m, bytes));
    SYS(ftruncate(fd, page));
  });
}

TEST(direct_pin_outlives_process) {
  int ends[2];
  SYS(pipe(ends));
  harness::in_child([&] {
    int fd = make_file("f", 1, bytes);
    char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
    SYS(unlink("f"));
    iovec part{m + leaf, 8 * page};
    CHECK_EQ(SYS(vmsplice(ends[1], &part, 1, 0)), 8 * page);
  });
  int other = make_file("g", 2, bytes);
  char* buffer = map(-1, 8 * page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  CHECK_EQ(read(ends[0], buffer, 8 * page), 8 * page);
  CHECK_FILLED(buffer, 1, leaf, 8 * page);
  check_file(other, 2, 0, bytes);
}

// The device writes into a mapping while its file is cut off and grows again: what
// it writes goes to the file or nowhere, never to another one.
TEST(direct_read_against_truncate) {
  int disk = fill_disk(7);
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  std::atomic<bool> stop{false};
  std::atomic<int> reads{0};
  std::thread reader([&] {
    while (!stop) {
      (void)!pread(disk, m, leaf, 0);
      (void)!pread(disk, m + 2 * leaf, 16 * page, 2 * leaf);
      reads++;
    }
  });
  for (int i = 0; i < 12; i++) {
    for (int seen = reads; reads < seen + 2;) usleep(200);
    SYS(ftruncate(fd, 0));
    int other = make_file("g", 2, 2 * leaf);
    SYS(ftruncate(fd, bytes));
    check_file(other, 2, 0, 2 * leaf);
    close(other);
    SYS(unlink("g"));
  }
  stop = true;
  reader.join();
  char* check = map(-1, page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  for (size_t at = 0; at < bytes; at += 8 * page) {  // all the device's, or zero
    CHECK_EQ(pread(fd, check, page, off_t(at)), page);
    if (nonzero(check, page) != page) CHECK_FILLED(check, 7, at, page);
  }
}
