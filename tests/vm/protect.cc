// SPDX-License-Identifier: MIT
//
// mprotect of whole mappings, which splits no VMA: the mapping changes its rights,
// and those of others over the same pages stay what they are.
#include "memory.h"

namespace {

constexpr size_t bytes = 3 * leaf + 5 * page;
constexpr size_t spots[] = {0, leaf - page, leaf, 2 * leaf + 100 * page, 3 * leaf + page};

// What one mapping allows, at places that nobody else touches in this way.
void check_rights(char* m, int prot, size_t shift) {
  for (size_t at : spots) {
    at += 8 * (shift + 1);
    CHECK_EQ(probe_read(m + at), prot & PROT_READ ? 0 : SIGSEGV);
    CHECK_EQ(probe_write(m + at, word_at(1, at)), prot & PROT_WRITE ? 0 : SIGSEGV);
  }
}

}  // namespace

TEST(protect_whole_mappings) {
  for (Place place : places) {
    int fd = make_file("f", 1, bytes);
    char* m = map_at(place, fd, bytes, PROT_READ);
    char* r = map_at(place, fd, bytes, PROT_READ);
    char* w = map_at(place, fd, bytes, rw);
    for (char* one : {m, r, w}) CHECK_PAGES(one, 1, 0, bytes);
    size_t shift = 0;
    for (int prot : {rw, PROT_READ, PROT_NONE, rw, PROT_NONE, PROT_READ, rw}) {
      SYS(mprotect(m, mapped_bytes(place, bytes), prot));
      // Once others first, once this one first: either may put a graft back.
      if (shift % 2) check_rights(m, prot, shift);
      check_rights(r, PROT_READ, shift);
      check_rights(w, rw, shift);
      check_rights(m, prot, shift);
      check_rights(r, PROT_READ, shift);
      char* fresh = map_at(place, fd, bytes, PROT_READ);
      check_rights(fresh, PROT_READ, shift);
      SYS(munmap(fresh, mapped_bytes(place, bytes)));
      CHECK_PAGES(r, 1, 0, bytes);
      shift++;
    }
    check_file(fd, 1, 0, bytes);
    for (char* one : {m, r, w}) SYS(munmap(one, mapped_bytes(place, bytes)));
    close(fd);
    SYS(unlink("f"));
  }
}

// Over two mappings and what lies between them at once.
TEST(protect_several_mappings_at_once) {
  int fd = make_file("f", 1, bytes);
  char* all = reserve(4 * slot, slot);
  map(fd, slot, PROT_READ, MAP_SHARED | MAP_FIXED, 0, all);
  map(-1, slot, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0, all + slot);
  map(fd, slot, PROT_READ, MAP_SHARED | MAP_FIXED, 0, all + 2 * slot);
  map(fd, slot, PROT_READ, MAP_PRIVATE | MAP_FIXED, 0, all + 3 * slot);
  char* r = map_at(Place::slot, fd, bytes, PROT_READ);
  for (size_t i : {0, 2, 3}) CHECK_PAGES(all + i * slot, 1, 0, bytes);
  CHECK_PAGES(r, 1, 0, bytes);
  for (int prot : {rw, PROT_READ, rw, PROT_NONE, PROT_READ}) {
    SYS(mprotect(all, 4 * slot, prot));
    check_rights(r, PROT_READ, 1);
    for (size_t i : {0, 2, 3}) check_rights(all + i * slot, prot, 2);
  }
  check_file(fd, 1, 0, bytes);
}

TEST(protect_refused_for_read_only_descriptors) {
  close(make_file("f", 1, bytes));
  int fd = SYS(open("f", O_RDONLY));
  for (Place place : places) {
    char* m = map_at(place, fd, bytes, PROT_READ);
    CHECK_PAGES(m, 1, 0, bytes);
    SYS_ERR(mprotect(m, mapped_bytes(place, bytes), rw), EACCES);
    SYS_ERR(mprotect(m + leaf, page, PROT_WRITE), EACCES);
    check_rights(m, PROT_READ, 0);
    SYS(mprotect(m, mapped_bytes(place, bytes), PROT_NONE));
    check_rights(m, PROT_NONE, 0);
    SYS(mprotect(m, mapped_bytes(place, bytes), PROT_READ));
    CHECK_PAGES(m, 1, 0, bytes);
  }
}
