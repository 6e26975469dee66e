// SPDX-License-Identifier: MIT
//
// A page of memory is declared broken. Its owner sees SIGBUS there, and nobody else
// sees anything. Each run costs the machine a page, so it is done only on morselfs
// (or with MORSELS_TEST_HWPOISON set): that is, in a virtual machine.
#include "memory.h"

namespace {

constexpr size_t bytes = 3 * leaf + 5 * page;

void* volatile told_at;  // by SIGBUS
void on_sigbus(int, siginfo_t* info, void*) { told_at = info->si_addr; }

void poison(char* at) {
  if (!harness::is_morselfs() && !getenv("MORSELS_TEST_HWPOISON"))
    SKIP("would break a page of this machine's memory");
  // 6.12 tells who met the error in a frame that it can't split: in one of 2 MiB.
  struct sigaction catching {
  }, before{};
  catching.sa_sigaction = on_sigbus;
  catching.sa_flags = SA_SIGINFO;
  SYS(sigaction(SIGBUS, &catching, &before));
  int error = madvise(at, page, MADV_HWPOISON) == 0 ? 0 : errno;
  SYS(sigaction(SIGBUS, &before, nullptr));
  if (error == EPERM || error == EINVAL)
    SKIP("this kernel can't declare memory broken: %s", strerror(error));
  // The kernel could not handle the page; it is marked all the same.
  CHECK(error == 0 || error == EBUSY || error == EHWPOISON);
  CHECK(!told_at || told_at == at);
}

constexpr size_t at = leaf + 7 * page;  // the broken page

// A file with contents 1 and a broken page, mapped at m.
int make_broken(char** m) {
  int fd = make_file("f", 1, bytes);
  *m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_PAGES(*m, 1, 0, bytes);
  poison(*m + at);
  return fd;
}

}  // namespace

TEST(hwpoison_others_see_nothing) {
  int other = make_file("g", 2, bytes);
  char* o = map(other, bytes, rw, MAP_SHARED);
  CHECK_PAGES(o, 2, 0, bytes);
  char* m;
  int fd = make_broken(&m);
  CHECK_FILLED(o, 2, 0, bytes);
  check_file(other, 2, 0, bytes);
  CHECK_FILLED(m, 1, 0, leaf);
  SYS(munmap(m, bytes));
  SYS(ftruncate(fd, 0));  // gives the broken page up, without giving it to anybody
  SYS(ftruncate(fd, bytes));
  check_file_zero(fd, at, page);
  int third = make_file("h", 3, bytes);
  check_file(third, 3, 0, bytes);
  CHECK_FILLED(o, 2, 0, bytes);
}

TEST(hwpoison_new_private_mapping) {
  char* m;
  int fd = make_broken(&m);
  char* n = map(fd, bytes, PROT_READ, MAP_PRIVATE);
  CHECK_EQ(probe_read(n + at), SIGBUS);
  CHECK_FILLED(n, 1, 0, leaf);
}

TEST(hwpoison_new_shared_mapping) {
  char* m;
  int fd = make_broken(&m);
  for (int prot : {PROT_READ, rw}) {
    char* n = map(fd, bytes, prot, MAP_SHARED);
    CHECK_EQ(probe_read(n + at), SIGBUS);
    CHECK_FILLED(n, 1, 0, leaf);
  }
}

TEST(hwpoison_read) {
  char* m;
  int fd = make_broken(&m);
  char buffer[page];
  SYS_ERR(pread(fd, buffer, page, off_t(at)), EIO);
  check_file(fd, 1, 0, leaf);
}
