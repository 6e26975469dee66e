// SPDX-License-Identifier: MIT
//
// MAP_PRIVATE: stores stay with the process that made them.
#include <sys/uio.h>

#include "memory.h"

namespace {
constexpr size_t bytes = 3 * leaf + 5 * page;
}

// As PyTorch maps a checkpoint: private, writable, mostly read, shared by fork.
TEST(private_checkpoint_with_workers) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_PRIVATE);
  CHECK_FILLED(m, 1, 0, bytes);
  fill(m + leaf, 2, leaf, page);
  for (int worker = 0; worker < 4; worker++)
    harness::in_child([&] {
      CHECK_FILLED(m + leaf, 2, leaf, page);  // the parent's copy
      fill(m, 3 + uint64_t(worker), 0, 2 * page);
      fill(m + leaf, 3 + uint64_t(worker), leaf, page);
      CHECK_FILLED(m, 3 + uint64_t(worker), 0, 2 * page);
      CHECK_FILLED(m + 2 * page, 1, 2 * page, leaf - 2 * page);
    });
  CHECK_FILLED(m, 1, 0, leaf);
  CHECK_FILLED(m + leaf, 2, leaf, page);
  CHECK_FILLED(m + leaf + page, 1, leaf + page, bytes - leaf - page);
  check_file(fd, 1, 0, bytes);
}

TEST(private_every_page_written) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_PRIVATE);
  fill(m, 2, 0, bytes);
  CHECK_FILLED(m, 2, 0, bytes);
  check_file(fd, 1, 0, bytes);
  char* again = map(fd, bytes, PROT_READ, MAP_PRIVATE);
  CHECK_FILLED(again, 1, 0, bytes);
}

TEST(private_of_read_only_descriptor) {
  make_file("f", 1, bytes);
  int fd = SYS(open("f", O_RDONLY));
  char* m = map(fd, bytes, PROT_READ, MAP_PRIVATE);
  CHECK_FILLED(m, 1, 0, bytes);
  CHECK_SIGNAL_WRITE(m + leaf, SIGSEGV);
  SYS(mprotect(m, bytes, rw));
  fill(m + leaf - page, 2, leaf - page, 2 * page);
  SYS(mprotect(m, bytes, PROT_READ));
  CHECK_SIGNAL_WRITE(m + leaf, SIGSEGV);
  CHECK_FILLED(m + leaf - page, 2, leaf - page, 2 * page);
  check_file(fd, 1, 0, bytes);
}

TEST(private_copies_survive_writes_of_others) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_PRIVATE);
  for (size_t at = 0; at < bytes; at += 3 * page) fill(m + at, 2, at, page);
  char* w = map(fd, bytes, rw, MAP_SHARED);
  fill(w, 3, 0, bytes);
  for (size_t at = 0; at < bytes; at += 3 * page) CHECK_FILLED(m + at, 2, at, page);
  // Pages without a copy show the file, as on every file system of Linux.
  CHECK_FILLED(m + page, 3, page, page);
  CHECK_FILLED(m + leaf + 2 * page, 3, leaf + 2 * page, page);
}

TEST(private_and_truncate) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_PRIVATE);
  CHECK_FILLED(m, 1, 0, bytes);
  fill(m + 2 * leaf, 2, 2 * leaf, 2 * page);
  fill(m + page, 2, page, page);
  SYS(ftruncate(fd, leaf + page));
  CHECK_SIGNAL_READ(m + leaf + page, SIGBUS);
  CHECK_SIGNAL_READ(m + 2 * leaf, SIGBUS);  // truncate takes copies, too
  CHECK_FILLED(m, 1, 0, page);
  CHECK_FILLED(m + page, 2, page, page);
  CHECK_FILLED(m + 2 * page, 1, 2 * page, leaf - page);
  SYS(ftruncate(fd, bytes));
  CHECK_ZERO(m + leaf + page, bytes - leaf - page);
  fill(m + 2 * leaf, 3, 2 * leaf, page);
  check_file_zero(fd, leaf + page, bytes - leaf - page);
}

TEST(private_and_punch) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_PRIVATE);
  CHECK_FILLED(m, 1, 0, bytes);
  fill(m + leaf, 2, leaf, page);
  SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page, 2 * leaf));
  CHECK_FILLED(m, 1, 0, page);
  CHECK_FILLED(m + leaf, 2, leaf, page);  // a punch spares copies
  CHECK_ZERO(m + page, leaf - page);
  CHECK_ZERO(m + leaf + page, leaf);
  CHECK_FILLED(m + 2 * leaf + page, 1, 2 * leaf + page, bytes - 2 * leaf - page);
}

TEST(private_holes) {
  int fd = make_sparse("f", bytes);
  char* m = map(fd, bytes, rw, MAP_PRIVATE);
  CHECK_ZERO(m, leaf + page);
  fill(m + page, 2, page, page);
  fill(m + 3 * leaf, 2, 3 * leaf, page);  // no read before
  CHECK_FILLED(m + page, 2, page, page);
  CHECK_FILLED(m + 3 * leaf, 2, 3 * leaf, page);
  check_file_zero(fd, 0, bytes);
  write_filled(fd, 1, 2 * leaf, leaf);
  CHECK_FILLED(m + 2 * leaf, 1, 2 * leaf, leaf);
}

TEST(private_dontneed_brings_the_file_back) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_PRIVATE);
  fill(m, 2, 0, bytes);
  SYS(madvise(m + leaf, leaf, MADV_DONTNEED));
  CHECK_FILLED(m, 2, 0, leaf);
  CHECK_FILLED(m + leaf, 1, leaf, leaf);
  CHECK_FILLED(m + 2 * leaf, 2, 2 * leaf, bytes - 2 * leaf);
}

TEST(private_fork_both_write) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_PRIVATE);
  fill(m, 2, 0, leaf);
  auto* gates = static_cast<Gate*>(shared_memory(sizeof(Gate) * 2));
  pid_t child = harness::spawn([&] {
    fill(m + leaf / 2, 3, leaf / 2, leaf);
    gates[0].open();
    gates[1].wait();
    CHECK_FILLED(m, 2, 0, leaf / 2);
    CHECK_FILLED(m + leaf / 2, 3, leaf / 2, leaf);
    CHECK_FILLED(m + leaf / 2 + leaf, 1, leaf / 2 + leaf, bytes - leaf / 2 - leaf);
  });
  gates[0].wait();
  CHECK_FILLED(m, 2, 0, leaf);
  CHECK_FILLED(m + leaf, 1, leaf, bytes - leaf);
  fill(m, 4, 0, bytes);
  gates[1].open();
  harness::join(child);
  CHECK_FILLED(m, 4, 0, bytes);
  check_file(fd, 1, 0, bytes);
}

TEST(private_beside_shared) {
  int fd = make_file("f", 1, bytes);
  char* s = map(fd, bytes, rw, MAP_SHARED);
  char* p = map(fd, bytes, rw, MAP_PRIVATE);
  fill(p, 2, 0, leaf);
  fill(s, 3, 0, bytes);
  CHECK_FILLED(p, 2, 0, leaf);
  CHECK_FILLED(p + leaf, 3, leaf, bytes - leaf);
  CHECK_FILLED(s, 3, 0, bytes);
}

// A debugger writes into a read-only private mapping: a copy is made, the file
// stays as it is (see readonly.cc for shared mappings).
TEST(private_unaligned_ends) {
  int fd = make_file("f", 1, bytes + 100);
  char* m = map(fd, bytes + 100, rw, MAP_PRIVATE, 0);
  CHECK_FILLED(m, 1, 0, bytes + 96);
  m[bytes + 99] = 'x';
  CHECK_ZERO(m + bytes + 104, page - 104);
  char c = 0;
  CHECK_EQ(pread(fd, &c, 1, bytes + 99), 1);
  uint64_t last = word_at(1, bytes + 96);
  CHECK_EQ(c, reinterpret_cast<char*>(&last)[3]);
}

// The kernel splits a large frame if its references are those that it can explain. Of ours it can't
// explain the object's, but somebody may hold just as many as it takes to be wrong about that.
TEST(private_cold_while_frame_is_pinned) {
  int fd = make_file("f", 1, leaf);
  char* shared = map_at(Place::slot, fd, leaf, rw);
  CHECK_PAGES(shared, 1, 0, leaf);
  char* one_page = map(fd, page, PROT_READ, MAP_PRIVATE, page);
  CHECK_FILLED(one_page, 1, page, page);
  constexpr int pipes = 3, pins_per_pipe = 180;
  int ends[pipes][2];
  for (int pin = 0; pin < pipes * pins_per_pipe; pin++) {
    int* pipe_ends = ends[pin / pins_per_pipe];
    if (pin % pins_per_pipe == 0) {
      SYS(pipe(pipe_ends));
      SYS(fcntl(pipe_ends[1], F_SETPIPE_SZ, 1 << 20));
    }
    iovec part{shared + size_t(pin % 512) * page, page};
    CHECK_EQ(vmsplice(pipe_ends[1], &part, 1, 0), page);
    if (pin < 500) continue;
    for (int advice : {MADV_COLD, MADV_PAGEOUT}) (void)!madvise(one_page, page, advice);
    if (harness::is_morselfs() && !harness::leaves_move())
      CHECK_EQ(info(fd).leaves_2m, harness::fills_huge_leaves() ? 1 : 0);
  }
  CHECK_FILLED(one_page, 1, page, page);
  fill(shared, 2, 0, leaf);
  check_file(fd, 2, 0, leaf);
  CHECK_FILLED(map(fd, leaf, PROT_READ, MAP_SHARED), 2, 0, leaf);
  for (auto& pipe_ends : ends)
    for (int end : pipe_ends) close(end);
  SYS(ftruncate(fd, 0));
  SYS(ftruncate(fd, leaf));
  check_file_zero(fd, 0, leaf);
}
