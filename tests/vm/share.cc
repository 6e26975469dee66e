// SPDX-License-Identifier: MIT
//
// Several processes and mappings share one file.
#include "memory.h"

namespace {
constexpr size_t bytes = 5 * leaf + 3 * page;
}

TEST(share_read_write_between_processes) {
  int fd = make_file("f", 1, bytes);
  auto* gates = static_cast<Gate*>(shared_memory(sizeof(Gate) * 3));
  pid_t other = harness::spawn([&] {
    char* m = map(fd, bytes, rw, MAP_SHARED);
    CHECK_FILLED(m, 1, 0, bytes);
    gates[0].open();
    gates[1].wait();
    CHECK_FILLED(m, 2, 0, bytes);  // the other's stores
    fill(m, 3, 0, bytes);
    gates[2].open();
  });
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, bytes);
  gates[0].wait();
  fill(m, 2, 0, bytes);
  gates[1].open();
  gates[2].wait();
  CHECK_FILLED(m, 3, 0, bytes);
  harness::join(other);
  check_file(fd, 3, 0, bytes);
}

TEST(share_read_only_sees_writes) {
  int fd = make_file("f", 1, bytes);
  int reader = SYS(open("f", O_RDONLY));
  char* m = map(reader, bytes, PROT_READ, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, bytes);
  write_filled(fd, 2, 0, bytes);  // write(2) is coherent with a mapping
  CHECK_FILLED(m, 2, 0, bytes);
  char* w = map(fd, bytes, rw, MAP_SHARED);
  fill(w + leaf, 3, leaf, leaf);  // and so is a store
  CHECK_FILLED(m + leaf, 3, leaf, leaf);
  CHECK_SIGNAL_WRITE(m + page, SIGSEGV);
  CHECK_SIGNAL_WRITE(m + bytes - 8, SIGSEGV);
  CHECK_FILLED(m, 2, 0, leaf);
  SYS_ERR(mprotect(m, bytes, rw), EACCES);
  SYS_ERR(mmap(nullptr, bytes, rw, MAP_SHARED, reader, 0), EACCES);
}

TEST(share_mapping_outlives_name_and_descriptor) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  SYS(unlink("f"));
  close(fd);
  CHECK_FILLED(m, 1, 0, bytes);
  fill(m, 2, 0, bytes);
  harness::in_child([&] { CHECK_FILLED(m, 2, 0, bytes); });
  CHECK_FILLED(m, 2, 0, bytes);
  SYS(munmap(m, bytes));
  CHECK_SIGNAL_READ(m, SIGSEGV);
}

TEST(share_same_file_at_many_addresses) {
  int fd = make_file("f", 1, bytes);
  char* m[8];
  for (char*& one : m) one = map(fd, bytes, rw, MAP_SHARED);
  for (size_t i = 0; i < 8; i++) fill(m[i] + i * 150 * page, 10 + i, i * 150 * page, 150 * page);
  for (char* one : m)
    for (size_t i = 0; i < 8; i++)
      CHECK_FILLED(one + i * 150 * page, 10 + i, i * 150 * page, 150 * page);
}

TEST(share_holes_filled_by_stores) {
  int fd = make_sparse("f", bytes);
  char* a = map(fd, bytes, rw, MAP_SHARED);
  char* b = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_ZERO(b, bytes);
  fill(a + leaf - page, 1, leaf - page, 2 * page);
  CHECK_FILLED(b + leaf - page, 1, leaf - page, 2 * page);
  check_file(fd, 1, leaf - page, 2 * page);
  CHECK_ZERO(b, leaf - page);
  CHECK_ZERO(b + leaf + page, bytes - leaf - page);
}

TEST(share_file_that_grows_while_mapped) {
  int fd = make_sparse("f", 0);
  char* a = map(fd, bytes, rw, MAP_SHARED);
  char* b = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_SIGNAL_READ(a, SIGBUS);
  CHECK_SIGNAL_READ(b, SIGBUS);
  for (size_t at = 0; at < bytes;) {  // in uneven pieces, as cp and write(2) do
    size_t now = at % (3 * page) == 0 ? 7 * page : 130 * page;
    now = at + now > bytes ? bytes - at : now;
    write_filled(fd, 4, at, now);
    CHECK_FILLED(a + at, 4, at, now);
    at += now;
    CHECK_EQ(probe_read(b + at - page), 0);
    if (at < bytes) CHECK_SIGNAL_READ(b + at, SIGBUS);
  }
  CHECK_FILLED(b, 4, 0, bytes);
}

// What the module knows of a process is freed some time after its last mapping went, and the next
// mapping needs it anew: for a while there are two. (Without split page-table locks, as on the
// kernel `lockdep`, whoever changed a table of an object then took one lock twice.)
TEST(share_mapped_again_at_once) {
  for (int i = 0; i < 200; i++) {
    int fd = make_file("f", i, 2 * leaf);
    for (int again = 0; again < 3; again++) {
      char* m = map(fd, 2 * leaf, rw, MAP_SHARED);
      CHECK_FILLED(m, i, 0, 2 * leaf);
      SYS(munmap(m, 2 * leaf));
    }
    char* m = map(fd, 2 * leaf, rw, MAP_SHARED);
    CHECK_FILLED(m, i, 0, 2 * leaf);
    SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, leaf, leaf));
    SYS(munmap(m, 2 * leaf));
    SYS(unlink("f"));
    SYS(close(fd));
  }
}

TEST(share_populated_mapping) {
  int fd = make_file("f", 1, bytes);
  char* a = map(fd, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE);
  char* b = map(fd, bytes, rw, MAP_SHARED | MAP_POPULATE);
  CHECK_FILLED(a, 1, 0, bytes);
  fill(b, 2, 0, bytes);
  CHECK_FILLED(a, 2, 0, bytes);
}

TEST(share_write_only_protection) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, PROT_WRITE, MAP_SHARED);
  fill(m, 2, 0, bytes);
  check_file(fd, 2, 0, bytes);
}
