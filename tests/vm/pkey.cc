// SPDX-License-Identifier: MIT
//
// Memory protection keys: the rights of a key hold on a mapping of the mount. (A
// graft can't carry a key, so such a VMA must not be grafted.)
#include "memory.h"

namespace {
constexpr size_t bytes = 2 * leaf + 5 * page;
}

TEST(pkey_rights_hold) {
  int key = pkey_alloc(0, 0);
  if (key < 0) SKIP("no protection keys: %s", strerror(errno));
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, bytes);
  for (int i = 0; i < 3; i++) {
    SYS(pkey_mprotect(m + leaf, leaf, rw, key));
    SYS(pkey_set(key, PKEY_DISABLE_WRITE));
    CHECK_PAGES(m + leaf, 1, leaf, leaf);
    CHECK_SIGNAL_WRITE(m + leaf, SIGSEGV);
    SYS(pkey_set(key, PKEY_DISABLE_ACCESS));
    CHECK_SIGNAL_READ(m + leaf, SIGSEGV);
    CHECK_SIGNAL_READ(m + 2 * leaf - 8, SIGSEGV);
    CHECK_PAGES(m, 1, 0, leaf);  // key 0
    CHECK_PAGES(m + 2 * leaf, 1, 2 * leaf, 5 * page);
    CHECK_PAGES(r, 1, 0, bytes);
    SYS(pkey_set(key, 0));
    fill(m + leaf, 1, leaf, leaf);
    SYS(pkey_mprotect(m, bytes, rw, 0));  // back to the ordinary key
    SYS(pkey_set(key, PKEY_DISABLE_ACCESS));
    fill(m, 1, 0, bytes);
    CHECK_PAGES(r, 1, 0, bytes);
  }
}
