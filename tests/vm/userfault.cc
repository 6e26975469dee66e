// SPDX-License-Identifier: MIT
//
// What else the kernel does to mappings by its own rules: userfaultfd, soft-dirty
// bits, same-page merging. Refused or harmless.
#include <linux/userfaultfd.h>
#include <sys/syscall.h>

#include "memory.h"

namespace {

constexpr size_t bytes = 3 * leaf + 5 * page;

int open_userfaultfd(uint64_t features = 0) {
  int fd = int(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
  if (fd < 0) SKIP("no userfaultfd here: %s", strerror(errno));
  uffdio_api api{UFFD_API, features, 0};
  if (ioctl(fd, UFFDIO_API, &api) != 0) SKIP("this kernel lacks features 0x%llx", api.features);
  return fd;
}

void register_for(uint64_t mode, int prot, int flags) {
  int uffd = open_userfaultfd();
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, prot, flags);
  CHECK_PAGES(m, 1, 0, bytes);
  uffdio_register request{};
  request.range = {uintptr_t(m), bytes};
  request.mode = mode;
  if (ioctl(uffd, UFFDIO_REGISTER, &request) == 0) {
    CHECK_PAGES(m, 1, 0, bytes);
    if (prot & PROT_WRITE) fill(m + leaf, 1, leaf, page);  // no range was write-protected
    SYS(ioctl(uffd, UFFDIO_UNREGISTER, &request.range));
  } else {
    CHECK(errno == EINVAL || errno == EPERM);
  }
  CHECK_FILLED(m, 1, 0, bytes);
  // An unregistered range can't be filled from outside.
  char* source = map(-1, page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  fill(source, 666, 0, page);
  uffdio_copy copy{uintptr_t(m), uintptr_t(source), page, 0, 0};
  CHECK(ioctl(uffd, UFFDIO_COPY, &copy) != 0);
  CHECK_FILLED(m, 1, 0, bytes);
  check_file(fd, 1, 0, bytes);
  SYS(munmap(m, bytes));
  SYS(unlink("f"));
}

uint64_t page_map(const char* at) {
  int fd = SYS(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  uint64_t entry = 0;
  CHECK_EQ(pread(fd, &entry, 8, off_t(uintptr_t(at) / page * 8)), 8);
  close(fd);
  return entry;
}

void clear_refs(const char* which) {
  int fd = SYS(open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC));
  (void)!write(fd, which, strlen(which));  // soft-dirty is not in every kernel
  close(fd);
}

}  // namespace

TEST(userfault_missing) {
  register_for(UFFDIO_REGISTER_MODE_MISSING, rw, MAP_SHARED);
  register_for(UFFDIO_REGISTER_MODE_MISSING, rw, MAP_PRIVATE);
}
TEST(userfault_write_protect) {
  register_for(UFFDIO_REGISTER_MODE_WP, rw, MAP_SHARED);
  register_for(UFFDIO_REGISTER_MODE_WP, rw, MAP_PRIVATE);
}
// With asynchronous write-protection the kernel takes any kind of memory and would
// put its markers into the tables; VM_DONTEXPAND keeps it away from ours.
TEST(userfault_write_protect_asynchronously) {
  if (!harness::is_morselfs()) SKIP("tmpfs may be tracked");
  constexpr uint64_t asynchronous = 1 << 15;  // UFFD_FEATURE_WP_ASYNC, Linux 6.7
  int uffd = open_userfaultfd(asynchronous);
  int fd = make_file("f", 1, bytes);
  for (int flags : {MAP_SHARED, MAP_PRIVATE}) {
    char* m = map(fd, bytes, rw, flags);
    CHECK_PAGES(m, 1, 0, bytes);
    uffdio_register request{};
    request.range = {uintptr_t(m), bytes};
    request.mode = UFFDIO_REGISTER_MODE_WP;
    SYS_ERR(ioctl(uffd, UFFDIO_REGISTER, &request), EINVAL);
    CHECK_FILLED(m, 1, 0, bytes);
  }
}

TEST(userfault_minor) { register_for(UFFDIO_REGISTER_MODE_MINOR, rw, MAP_SHARED); }
TEST(userfault_read_only_mapping) {
  register_for(UFFDIO_REGISTER_MODE_MISSING, PROT_READ, MAP_SHARED);
  register_for(UFFDIO_REGISTER_MODE_WP, PROT_READ, MAP_SHARED);
}

// A zero page must not be put over a read-only mapping by way of userfaultfd.
TEST(userfault_zero_page) {
  int uffd = open_userfaultfd();
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  uffdio_register request{};
  request.range = {uintptr_t(m), bytes};
  request.mode = UFFDIO_REGISTER_MODE_MISSING;
  bool accepted = ioctl(uffd, UFFDIO_REGISTER, &request) == 0;
  uffdio_zeropage zero{};
  zero.range = {uintptr_t(m), leaf};
  (void)!ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
  if (accepted) SYS(ioctl(uffd, UFFDIO_UNREGISTER, &request.range));
  check_file(fd, 1, 0, bytes);
  CHECK_FILLED(m, 1, 0, bytes);
}

TEST(userfault_soft_dirty) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
  for (const char* which : {"1", "2", "3", "4", "5", "4"}) {
    CHECK_PAGES(m, 1, 0, bytes);
    clear_refs(which);
    CHECK_PAGES(r, 1, 0, bytes);
    CHECK_SIGNAL_WRITE(r + leaf, SIGSEGV);
    fill(m + leaf - page, 2, leaf - page, 2 * page);
    CHECK_FILLED(r + leaf - page, 2, leaf - page, 2 * page);
    CHECK(page_map(m + leaf) >> 63 & 1);
    fill(m + leaf - page, 1, leaf - page, 2 * page);
  }
  harness::in_child([&] {
    clear_refs("4");
    fill(m, 3, 0, bytes);
  });
  CHECK_FILLED(r, 3, 0, bytes);
}

TEST(userfault_merging_and_huge_page_daemon) {
  int ksm = open("/sys/kernel/mm/ksm/run", O_RDWR);
  char was = '0';
  if (ksm >= 0) {
    CHECK_EQ(pread(ksm, &was, 1, 0), 1);
    (void)!pwrite(ksm, "1", 1, 0);
  }
  int fd = make_sparse("f", bytes);  // many equal pages
  char* m = map(fd, bytes, rw, MAP_SHARED);
  for (size_t at = 0; at < bytes; at += page) fill(m + at, 1, 0, page);
  (void)!madvise(m, bytes, MADV_MERGEABLE);
  (void)!madvise(m, bytes, MADV_HUGEPAGE);
  for (size_t at = 0; at < bytes; at += 7 * page) {
    fill(m + at, 2, at, page);
    CHECK_FILLED(m + at, 2, at, page);
    if (at + page < bytes) CHECK_FILLED(m + at + page, 1, 0, page);
  }
  if (ksm >= 0) (void)!pwrite(ksm, &was, 1, 0);
}
