// SPDX-License-Identifier: MIT
//
// What readonly.cc and access.cc share: mappings that nobody may write through,
// and bytes to write there all the same.
#ifndef MORSELS_TESTS_ATTACK_H
#define MORSELS_TESTS_ATTACK_H

#include <functional>

#include "memory.h"

namespace attacks {

constexpr size_t bytes = 2 * leaf + 16 * page;

struct Span {
  size_t at, bytes;
};
// Single pages and more, inside leaves, across them, and at the edge.
constexpr Span spans[] = {{0, page},      {5 * page, page}, {leaf - page, 2 * page},
                          {0, 64 * page}, {leaf, leaf},     {2 * leaf + 3 * page, 8 * page}};

using Attack = std::function<void(char* at, size_t size)>;

inline void attack_mapping(int fd, char* m, const Attack& attack, const char* kind) {
  for (const Span& span : spans) {
    CHECK_PAGES(m, 1, 0, bytes);  // grafted or faulted in: GUP-fast finds it
    attack(m + span.at, span.bytes);
    if (size_t bad = differs(m + span.at, 1, span.at, span.bytes); bad != span.bytes)
      FAIL("%s, 0x%zx bytes at 0x%zx: the object changed at 0x%zx", kind, span.bytes, span.at,
           span.at + bad);
  }
  CHECK_FILLED(m, 1, 0, bytes);
  check_file(fd, 1, 0, bytes);
  SYS(munmap(m, bytes));
}

// Every kind of read-only mapping of a file: the object must not change.
inline void attack(const Attack& attack) {
  int fd = make_file("f", 1, bytes);
  int reader = SYS(open("f", O_RDONLY));
  attack_mapping(fd, map(reader, bytes, PROT_READ, MAP_SHARED), attack, "O_RDONLY");
  attack_mapping(fd, map(fd, bytes, PROT_READ, MAP_SHARED), attack, "O_RDWR");
  char* once_writable = map(fd, bytes, rw, MAP_SHARED);
  fill(once_writable, 1, 0, bytes);
  SYS(mprotect(once_writable, bytes, PROT_READ));
  attack_mapping(fd, once_writable, attack, "mprotect");
  char* odd = reserve(bytes, leaf, page);
  map(fd, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, 0, odd);
  attack_mapping(fd, odd, attack, "odd address");
}

// Other bytes than the object's, to be written by the attacks.
inline char* evil() {
  static char* data = nullptr;
  if (!data) {
    data = map(-1, leaf, rw, MAP_PRIVATE | MAP_ANONYMOUS);
    fill(data, 666, 0, leaf);
  }
  return data;
}

inline int evil_file() {  // on the mount; read(2) copies from it
  static int fd = -1;
  if (fd < 0) {
    fd = SYS(open("evil", O_RDWR | O_CREAT, 0600));
    write_filled(fd, 666, 0, leaf);
  }
  return fd;
}

inline int evil_disk() {
  if (harness::disk().empty()) SKIP("NEEDS A DISK: call it with a scratch block device");
  int fd = SYS(open(harness::disk().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
  CHECK_EQ(pwrite(fd, evil(), leaf, 0), leaf);
  return fd;
}

// An attempt says whether it got there. With read-only mappings it must not; with a
// writable one it must, or it would prove nothing about the others.
using Attempt = std::function<bool(char* at, size_t size)>;

inline void attack_and_control(const Attempt& attempt) {
  attack([&](char* at, size_t size) { CHECK(!attempt(at, size)); });
  int fd = make_file("control", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  for (const Span& span : spans) {
    fill(m, 1, 0, bytes);
    CHECK(attempt(m + span.at, span.bytes));
    CHECK_FILLED(m + span.at, 666, 0, page);
  }
  SYS(munmap(m, bytes));
  close(fd);
}

}  // namespace attacks

#endif
