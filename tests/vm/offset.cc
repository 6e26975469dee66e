// SPDX-License-Identifier: MIT
//
// File offsets and addresses that don't fit each other, with neighbours that
// must not be touched.
#include "memory.h"

namespace {

constexpr size_t file_bytes = 7 * leaf + 9 * page;

struct Spot {
  size_t address;  // above a 2-MiB boundary
  size_t offset;   // into the file
  size_t bytes;
};

constexpr Spot spots[] = {
    {0, 0, file_bytes},
    {0, 0, leaf},
    {0, leaf, 3 * leaf},
    {page, page, 4 * leaf},
    {page, 0, 4 * leaf},
    {0, page, 4 * leaf},
    {leaf - page, leaf - page, 2 * page},
    {leaf - page, 3 * leaf - page, leaf + 2 * page},
    {leaf - page, 0, leaf + 2 * page},
    {5 * page, 5 * page, page},
    {7 * page, leaf + 7 * page, leaf - 8 * page},
    {511 * page, 100 * page, 5 * leaf},
    {100 * page, 611 * page, 4 * leaf + 13 * page},
    {page, leaf + page, 2 * leaf - 2 * page},
    {page, leaf + page, 2 * leaf - page},
    {0, 2 * leaf, 2 * leaf + page},
};

void check_spot(int fd, const Spot& p, int prot) {
  // An arena of private memory around it, all its words known.
  size_t around = p.bytes + 4 * leaf;
  char* arena = reserve(around, leaf);
  map(-1, around, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0, arena);
  char* at = arena + leaf + p.address;
  fill(at - page, 50, 0, page);
  fill(at + p.bytes, 51, 0, page);
  arena[0] = 'a';
  map(fd, p.bytes, prot, MAP_SHARED | MAP_FIXED, p.offset, at);
  CHECK_FILLED(at, 1, p.offset, p.bytes);
  if (prot & PROT_WRITE) {
    fill(at, 2, p.offset, page);
    fill(at + p.bytes - page, 2, p.offset + p.bytes - page, page);
    check_file(fd, 2, p.offset, page);
    check_file(fd, 2, p.offset + p.bytes - page, page);
    write_filled(fd, 1, p.offset, page);
    write_filled(fd, 1, p.offset + p.bytes - page, page);
    CHECK_FILLED(at, 1, p.offset, p.bytes);
  } else {
    CHECK_SIGNAL_WRITE(at, SIGSEGV);
    CHECK_SIGNAL_WRITE(at + p.bytes - 8, SIGSEGV);
  }
  CHECK_FILLED(at - page, 50, 0, page);
  CHECK_FILLED(at + p.bytes, 51, 0, page);
  fill(at - page, 52, 0, page);  // neighbours can be written
  fill(at + p.bytes, 53, 0, page);
  SYS(munmap(at, p.bytes));
  CHECK_SIGNAL_READ(at, SIGSEGV);
  CHECK_SIGNAL_READ(at + p.bytes - 8, SIGSEGV);
  CHECK_FILLED(at - page, 52, 0, page);
  CHECK_FILLED(at + p.bytes, 53, 0, page);
  SYS(munmap(arena, around));
}

}  // namespace

TEST(offset_read_only_at_odd_places) {
  int fd = make_file("f", 1, file_bytes);
  for (const Spot& p : spots) check_spot(fd, p, PROT_READ);
  check_file(fd, 1, 0, file_bytes);
}

TEST(offset_writable_at_odd_places) {
  int fd = make_file("f", 1, file_bytes);
  for (const Spot& p : spots) check_spot(fd, p, rw);
  check_file(fd, 1, 0, file_bytes);
}

// Two mappings of the same file that touch each other, so that one 2-MiB slot of
// the address space belongs to both.
TEST(offset_neighbours_in_one_slot) {
  int fd = make_file("f", 1, file_bytes);
  int other = make_file("g", 2, file_bytes);
  for (size_t cut : {page, 100 * page, leaf - page, leaf, leaf + page, 2 * leaf}) {
    char* at = reserve(4 * leaf, leaf);
    map(fd, cut, rw, MAP_SHARED | MAP_FIXED, 0, at);
    CHECK_FILLED(at, 1, 0, cut);
    map(other, 4 * leaf - cut, PROT_READ, MAP_SHARED | MAP_FIXED, cut, at + cut);
    CHECK_FILLED(at + cut, 2, cut, 4 * leaf - cut);
    CHECK_FILLED(at, 1, 0, cut);
    SYS(munmap(at, cut));
    CHECK_SIGNAL_READ(at + cut - page, SIGSEGV);
    CHECK_FILLED(at + cut, 2, cut, 4 * leaf - cut);
    map(fd, cut, PROT_READ, MAP_SHARED | MAP_FIXED, cut, at);
    CHECK_FILLED(at, 1, cut, cut);
    SYS(munmap(at, 4 * leaf));
  }
}

// get_unmapped_area: whatever address the kernel picks, it is free and page-aligned,
// and hints are honoured where they can be.
TEST(offset_address_choice) {
  int fd = make_file("f", 1, file_bytes);
  char* spot = reserve(file_bytes, leaf, 3 * page);
  SYS(munmap(spot, file_bytes));
  CHECK(map(fd, file_bytes, PROT_READ, MAP_SHARED, 0, spot) == spot);
  CHECK_FILLED(spot, 1, 0, file_bytes);
  char* elsewhere = map(fd, file_bytes, PROT_READ, MAP_SHARED, 0, spot);  // taken: another place
  CHECK(elsewhere != spot);
  CHECK_FILLED(elsewhere, 1, 0, file_bytes);
  SYS_ERR(mmap(spot, page, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0), EEXIST);
  char* low = map(fd, file_bytes, PROT_READ, MAP_SHARED | MAP_32BIT);
  CHECK(reinterpret_cast<uintptr_t>(low) + file_bytes <= 1UL << 32);
  CHECK_FILLED(low, 1, 0, file_bytes);
  SYS_ERR(mmap(nullptr, 1UL << 48, PROT_READ, MAP_SHARED, fd, 0), ENOMEM);
}
