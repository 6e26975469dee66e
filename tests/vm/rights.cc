// SPDX-License-Identifier: MIT
//
// What a descriptor, a file's mode and a mount allow decides about mappings, at
// the time when they are asked for; later changes take nothing away and give
// nothing.
#include <sys/socket.h>
#include <sys/syscall.h>

#include "../conformance/files.h"

namespace {

constexpr size_t bytes = leaf + 3 * page;

std::string link_to(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

// Every way from this descriptor to a writable shared mapping.
void check_never_writable(int fd) {
  SYS_ERR(mmap(nullptr, bytes, rw, MAP_SHARED, fd, 0), EACCES);
  SYS_ERR(mmap(nullptr, bytes, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
  SYS_ERR(mmap(nullptr, bytes, rw, MAP_SHARED_VALIDATE, fd, 0), EACCES);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, bytes);
  SYS_ERR(mprotect(m, bytes, rw), EACCES);
  SYS_ERR(mprotect(m + page, page, PROT_WRITE), EACCES);
  SYS(mprotect(m, bytes, PROT_NONE));
  SYS_ERR(mprotect(m, bytes, rw), EACCES);
  SYS(mprotect(m, bytes, PROT_READ));
  char* to = reserve(bytes, leaf);
  CHECK(mremap(m, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
  SYS_ERR(mprotect(to, bytes, rw), EACCES);
  harness::in_child([&] { SYS_ERR(mprotect(to, bytes, rw), EACCES); });
  CHECK_SIGNAL_WRITE(to + leaf, SIGSEGV);
  CHECK_PAGES(to, 1, 0, bytes);
  // A copy of one's own may be written.
  char* p = map(fd, bytes, rw, MAP_PRIVATE);
  fill(p, 2, 0, page);
  CHECK_FILLED(to, 1, 0, page);
  SYS(munmap(p, bytes));
  SYS(munmap(to, bytes));
}

}  // namespace

TEST(rights_of_a_read_only_descriptor) {
  int fd = make_file("f", 1, bytes);
  int reader = SYS(open("f", O_RDONLY)), writer = SYS(open("f", O_WRONLY));
  check_never_writable(reader);
  SYS(fchmod(fd, 0666));  // the descriptor stays what it is
  check_never_writable(reader);
  SYS_ERR(mmap(nullptr, bytes, PROT_READ, MAP_SHARED, writer, 0), EACCES);
  SYS_ERR(mmap(nullptr, bytes, PROT_WRITE, MAP_SHARED, writer, 0), EACCES);
  int path = SYS(open("f", O_PATH));
  SYS_ERR(mmap(nullptr, bytes, PROT_READ, MAP_SHARED, path, 0), EBADF);
}

TEST(rights_passed_on) {
  int fd = make_file("f", 1, bytes);
  int self = SYS(int(syscall(SYS_pidfd_open, getpid(), 0)));
  int reader = SYS(open("f", O_RDONLY));
  int got = SYS(int(syscall(SYS_pidfd_getfd, self, reader, 0)));
  check_never_writable(got);
  check_never_writable(SYS(dup(reader)));
  harness::in_child([&] { check_never_writable(reader); });
  check_file(fd, 1, 0, bytes);
}

// Who is handed a descriptor may not make more of it by opening it again.
TEST(rights_of_an_opened_link) {
  int fd = make_file("f", 1, bytes);
  SYS(fchmod(fd, 0444));
  int reader = SYS(open("f", O_RDONLY)), path = SYS(open("f", O_PATH));
  as_nobody([&] {
    for (int one : {reader, path, fd}) {
      SYS_ERR(open(link_to(one).c_str(), O_RDWR), EACCES);
      SYS_ERR(open(link_to(one).c_str(), O_RDONLY | O_TRUNC), EACCES);
    }
    check_never_writable(SYS(open(link_to(path).c_str(), O_RDONLY)));
    SYS_ERR(truncate(link_to(reader).c_str(), 0), EACCES);
    SYS_ERR(open(link_to(reader).c_str(), O_WRONLY), EACCES);
  });
  SYS(fchmod(fd, 0));
  as_nobody([&] {
    SYS_ERR(open(link_to(reader).c_str(), O_RDONLY), EACCES);
    check_never_writable(reader);  // it was given
  });
  check_file(fd, 1, 0, bytes);
}

// What was allowed stays allowed: like any file system's, a writable mapping outlives
// the rights that it was made with. What is new needs rights as they are now.
TEST(rights_taken_back) {
  SYS(chmod(".", 0777));
  auto* gates = static_cast<Gate*>(shared_memory(2 * sizeof(Gate)));
  int fd = make_file("f", 1, bytes);
  SYS(fchown(fd, 65534, 65534));
  pid_t user = harness::spawn([&] {
    SYS(setresgid(65534, 65534, 65534));
    SYS(setresuid(65534, 65534, 65534));
    int own = SYS(open("f", O_RDWR));
    char* m = map(own, bytes, rw, MAP_SHARED);
    CHECK_PAGES(m, 1, 0, bytes);
    gates[0].open();
    gates[1].wait();
    SYS_ERR(open("f", O_RDONLY), EACCES);
    SYS_ERR(open(link_to(own).c_str(), O_RDONLY), EACCES);
    fill(m, 2, 0, bytes);
    SYS(mprotect(m, bytes, PROT_READ));
    SYS(mprotect(m, bytes, rw));
    CHECK_FILLED(map(own, bytes, PROT_READ, MAP_SHARED), 2, 0, bytes);
  });
  gates[0].wait();
  SYS(fchown(fd, 0, 0));
  SYS(fchmod(fd, 0600));
  gates[1].open();
  harness::join(user);
  check_file(fd, 2, 0, bytes);
}

TEST(rights_of_a_read_only_mount) {
  int fd = make_file("f", 1, bytes);
  SYS(mkdir("b", 0755));
  if (mount(".", "b", nullptr, MS_BIND, nullptr) != 0) SKIP("can't mount: %s", strerror(errno));
  int before = SYS(open("b/f", O_RDONLY));
  SYS(mount(nullptr, "b", nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr));
  SYS_ERR(open("b/f", O_RDWR), EROFS);
  SYS_ERR(truncate("b/f", 0), EROFS);
  SYS_ERR(open(link_to(before).c_str(), O_RDWR), EROFS);
  check_never_writable(before);
  check_never_writable(SYS(open("b/f", O_RDONLY)));
  close(before);
  check_file(fd, 1, 0, bytes);
  umount2("b", MNT_DETACH);
}

// Seals are memfd's. A file of morselfs has none, and nobody is told otherwise.
TEST(rights_no_seals) {
  if (!harness::is_morselfs()) SKIP("tmpfs answers for memfd");
  int fd = make_file("f", 1, page);
  SYS_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EINVAL);
  SYS_ERR(fcntl(fd, F_GET_SEALS), EINVAL);
}
