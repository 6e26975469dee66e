// SPDX-License-Identifier: MIT
//
// What the file system is for: a mapping is ready after one fault at most, whatever
// its size, and needs no tables of its own to speak of. Only on morselfs.
#include "memory.h"

namespace {

constexpr size_t sizes[] = {page, 3 * page, leaf, 2 * leaf + 5 * page, 37 * leaf + 100 * page};

int make_allocated(const char* name, size_t bytes) {
  int fd = SYS(open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  SYS(fallocate(fd, 0, 0, off_t(bytes)));
  return fd;
}

void need_grafts() {
  if (!harness::is_morselfs()) SKIP("about grafts, which only morselfs has");
}

// One read per page; how many faults that took.
__attribute__((noinline)) long sweep(const char* m, size_t bytes) {
  long before = faults();
  for (size_t at = 0; at < bytes; at += page) (void)*reinterpret_cast<const volatile char*>(m + at);
  return faults() - before;
}

__attribute__((noinline)) long sweep_storing(char* m, size_t bytes) {
  long before = faults();
  for (size_t at = 0; at < bytes; at += page) *reinterpret_cast<volatile char*>(m + at) = 1;
  return faults() - before;
}

// What this program itself touches for the first time is no fault of the mapping.
void warm_up() {
  int fd = make_allocated("warm", 3 * page);
  char* m = map(fd, 3 * page, rw, MAP_SHARED);
  sweep(m, 3 * page);
  sweep_storing(m, 3 * page);
  munmap(m, 3 * page);
  close(fd);
}

}  // namespace

TEST(faults_of_plain_mappings) {
  need_grafts();
  warm_up();
  for (size_t bytes : sizes) {
    int fd = make_allocated("f", bytes);
    for (int prot : {PROT_READ, rw})
      for (int again = 0; again < 2; again++) {
        char* m = map(fd, bytes, prot, MAP_SHARED);
        long seen = prot == rw ? sweep_storing(m, bytes) : sweep(m, bytes);
        if (seen > 2)
          FAIL("mapping of 0x%zx bytes, prot %d: expected at most 2 faults, seen %ld", bytes, prot,
               seen);
        CHECK_EQ(sweep(m, bytes), 0);
        munmap(m, bytes);
      }
    close(fd);
    SYS(unlink("f"));
  }
}

// Wherever the kernel places it, a mapping below 1 GiB lies in one 1-GiB slot: one fault, not two.
TEST(faults_of_many_mappings) {
  need_grafts();
  warm_up();
  constexpr size_t bytes = 37 * leaf + 100 * page;
  int fd = make_allocated("f", bytes);
  for (size_t placed = 0; placed < 2 * slot; placed += bytes) {
    char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
    size_t first = size_t(m) / slot, last = (size_t(m) + bytes - 1) / slot;
    CHECK_EQ(last - first, 0);
    CHECK(sweep(m, bytes) <= 1);
  }
}

TEST(faults_of_read_only_descriptor) {
  need_grafts();
  warm_up();
  constexpr size_t bytes = 20 * leaf + 33 * page;
  close(make_allocated("f", bytes));
  int fd = SYS(open("f", O_RDONLY));
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK(sweep(m, bytes) <= 2);
  harness::in_child([&] { CHECK(sweep(m, bytes) <= 8); });  // some of the child's own
}

TEST(faults_after_populate) {
  need_grafts();
  warm_up();
  constexpr size_t bytes = 20 * leaf + 33 * page;
  int fd = make_allocated("f", bytes);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE);
  CHECK(sweep(m, bytes) <= 2);
}

// llama.cpp unmaps the head: what is left is covered anew.
TEST(faults_after_partial_munmap) {
  need_grafts();
  warm_up();
  constexpr size_t bytes = 20 * leaf + 33 * page;
  int fd = make_allocated("f", bytes);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  sweep(m, bytes);
  SYS(munmap(m, 137 * page));
  CHECK(sweep(m + 137 * page, bytes - 137 * page) <= 2);
  SYS(munmap(m + 10 * leaf, page));
  CHECK(sweep(m + 137 * page, 10 * leaf - 137 * page) <= 2);
  CHECK(sweep(m + 10 * leaf + page, 10 * leaf + 32 * page) <= 2);
}

TEST(faults_after_protection) {
  need_grafts();
  warm_up();
  constexpr size_t bytes = 20 * leaf + 33 * page;
  int fd = make_allocated("f", bytes);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  sweep(m, bytes);
  SYS(mprotect(m, bytes, rw));
  CHECK(sweep_storing(m, bytes) <= 2);
  SYS(mprotect(m, bytes, PROT_READ));
  CHECK(sweep(m, bytes) <= 2);
}

TEST(faults_tables_of_a_process) {
  need_grafts();
  constexpr size_t bytes = 150 * leaf + 33 * page;
  int fd = make_allocated("f", bytes);
  // The second mapping: what the first needed above it is there, or not; both count.
  for (int i = 0; i < 2; i++) {
    long before = status_kib("VmPTE");
    char* m = map(fd, bytes, rw, MAP_SHARED);
    sweep(m, bytes);
    long grown = status_kib("VmPTE") - before;
    if (grown > 16 + 4)
      FAIL("VmPTE for 0x%zx bytes: expected at most 20 KiB more, seen %ld", bytes, grown);
    SYS(munmap(m, bytes));
  }
}

// A hole costs one fault for each leaf that is made, not more.
TEST(faults_of_holes) {
  need_grafts();
  warm_up();
  constexpr size_t bytes = 2 * leaf;
  int fd = make_sparse("f", bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  long seen = sweep_storing(m, bytes);
  CHECK(seen <= long(bytes / page) + 2);
  char* n = map(fd, bytes, rw, MAP_SHARED);
  CHECK(sweep(n, bytes) <= 2);
}
