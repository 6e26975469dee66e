// SPDX-License-Identifier: MIT
//
// Memory policies and page migration: refused or harmless.
#include <vector>

#include <sys/syscall.h>

#include "memory.h"

namespace {
constexpr size_t bytes = 3 * leaf + 5 * page;
constexpr int mpol_bind = 2, mpol_preferred = 1, mpol_mf_strict = 1, mpol_mf_move = 2,
              mpol_mf_move_all = 4, mpol_f_addr = 2, mpol_f_node = 1;
}  // namespace

TEST(numa_bind_and_move) {
  int fd = make_file("f", 1, bytes);
  for (int prot : {rw, PROT_READ}) {
    char* m = map(fd, bytes, prot, MAP_SHARED);
    CHECK_PAGES(m, 1, 0, bytes);
    unsigned long nodes = 1;
    for (int policy : {mpol_bind, mpol_preferred})
      for (int flags : {0, mpol_mf_move, mpol_mf_strict | mpol_mf_move, mpol_mf_move_all}) {
        long got = syscall(SYS_mbind, m, bytes, policy, &nodes, 64, flags);
        if (got != 0 && errno == ENOSYS) SKIP("this kernel has no memory policies");
        (void)!syscall(SYS_mbind, m + leaf + page, page, policy, &nodes, 64, flags);
        CHECK_PAGES(m, 1, 0, bytes);
      }
    int mode = -1;
    (void)!syscall(SYS_get_mempolicy, &mode, nullptr, 0, m, mpol_f_addr);
    (void)!syscall(SYS_get_mempolicy, &mode, nullptr, 0, m, mpol_f_addr | mpol_f_node);
    CHECK_FILLED(m, 1, 0, bytes);
    SYS(munmap(m, bytes));
  }
  check_file(fd, 1, 0, bytes);
}

TEST(numa_move_pages) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, bytes);
  std::vector<void*> pages;
  for (size_t at = 0; at < bytes; at += 50 * page) pages.push_back(m + at);
  std::vector<int> nodes(pages.size(), 0), status(pages.size(), -1);
  if (syscall(SYS_move_pages, 0, pages.size(), pages.data(), nullptr, status.data(), 0) != 0 &&
      errno == ENOSYS)
    SKIP("this kernel has no move_pages");
  for (int flags : {mpol_mf_move, mpol_mf_move_all}) {
    (void)!syscall(SYS_move_pages, 0, pages.size(), pages.data(), nodes.data(), status.data(),
                   flags);
    CHECK_FILLED(m, 1, 0, bytes);
  }
  unsigned long from = 1, to = 1;
  (void)!syscall(SYS_migrate_pages, 0, 64, &from, &to);
  fill(m, 2, 0, bytes);
  check_file(fd, 2, 0, bytes);
}
