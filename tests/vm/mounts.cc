// SPDX-License-Identifier: MIT
//
// A mount comes and goes: busy while something is mapped, gone afterwards, and all
// memory given back.
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "memory.h"

namespace {

constexpr size_t bytes = 3 * leaf + 5 * page;

void mount_second(const char* at) {
  SYS(mkdir(at, 0755));
  std::string options = "size=64m,nr_inodes=100" + harness::huge_option();
  if (mount("none", at, harness::file_system(), 0, options.c_str()) != 0) {
    if (errno == EPERM) SKIP("can't mount here");
    FAIL("mount with %s: expected success, seen %s", options.c_str(), strerror(errno));
  }
}

void check_all_free(const char* at) {
  struct statfs s;
  for (int i = 0;; i++) {  // frames may come back a moment later
    SYS(statfs(at, &s));
    if (s.f_bfree == s.f_blocks && s.f_ffree == s.f_files - 1) return;
    if (i == 500)
      FAIL("expected all of %ld blocks and %ld inodes free but the root, seen %ld and %ld",
           long(s.f_blocks), long(s.f_files), long(s.f_bfree), long(s.f_ffree));
    usleep(10000);
  }
}

}  // namespace

TEST(mounts_hold_the_module) {
  if (!harness::is_morselfs()) SKIP("tmpfs is no module");
  long got = syscall(SYS_delete_module, "morselfs", O_NONBLOCK);
  CHECK(got == -1 && (errno == EWOULDBLOCK || errno == EBUSY));  // rmmod says "in use"
  mount_second("n");                                             // and it still works
  SYS(umount("n"));
}

TEST(mounts_busy_while_mapped) {
  mount_second("n");
  int fd = make_file("n/f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  close(fd);
  SYS_ERR(umount("n"), EBUSY);
  CHECK_PAGES(m, 1, 0, bytes);
  SYS_ERR(umount("n"), EBUSY);
  CHECK_FILLED(m, 1, 0, bytes);
  SYS(munmap(m, bytes));
  SYS(unlink("n/f"));
  check_all_free("n");
  SYS(umount("n"));
}

TEST(mounts_detached_while_mapped) {
  mount_second("n");
  int fd = make_file("n/f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  auto* gate = shared<Gate>();
  pid_t child = harness::spawn([&] {
    char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
    CHECK_PAGES(r, 1, 0, bytes);
    gate->open();
    pause();
  });
  gate->wait();
  SYS(umount2("n", MNT_DETACH));
  close(fd);
  CHECK_FILLED(m, 1, 0, bytes);
  fill(m, 2, 0, bytes);
  SYS(kill(child, SIGKILL));
  harness::join_killed(child, SIGKILL);
  CHECK_FILLED(m, 2, 0, bytes);
  SYS(munmap(m, bytes));  // the last user: the file system goes with it
  CHECK_SIGNAL_READ(m, SIGSEGV);
}

TEST(mounts_give_all_back) {
  mount_second("n");
  check_all_free("n");
  for (int i = 0; i < 3; i++) {
    int fd = make_file("n/f", 1, bytes);
    int g = make_sparse("n/g", 4 * slot);
    SYS(mkdir("n/d", 0755));
    SYS(symlink("f", "n/s"));
    for (int child = 0; child < 4; child++)
      harness::in_child([&] {
        CHECK_PAGES(map(fd, bytes, child % 2 ? rw : PROT_READ, MAP_SHARED), 1, 0, bytes);
        char* holes = map(g, 4 * slot, rw, MAP_SHARED);
        for (size_t at = 0; at < 4 * slot; at += slot) holes[at + size_t(child) * leaf] = 1;
      });
    SYS(fallocate(g, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, slot + leaf + page));
    SYS(ftruncate(fd, leaf + 1));
    close(fd);
    close(g);
    for (const char* name : {"n/f", "n/g", "n/s"}) SYS(unlink(name));
    SYS(rmdir("n/d"));
    check_all_free("n");
  }
  SYS(umount("n"));
}

TEST(mounts_gone_with_files_in_it) {
  for (int i = 0; i < 3; i++) {
    mount_second("n");
    for (const char* name : {"n/a", "n/b", "n/c"}) {
      int fd = make_file(name, 1, bytes);
      harness::in_child([&] { fill(map(fd, bytes, rw, MAP_SHARED), 2, 0, leaf); });
      close(fd);
    }
    SYS(umount("n"));
    struct stat st;
    SYS_ERR(stat("n/a", &st), ENOENT);
    SYS(rmdir("n"));
  }
}

// A bind mount and a second name space show the same files.
TEST(mounts_bound_elsewhere) {
  mount_second("n");
  int fd = make_file("n/f", 1, bytes);
  SYS(mkdir("b", 0755));
  SYS(mount("n", "b", nullptr, MS_BIND, nullptr));
  int other = SYS(open("b/f", O_RDONLY));
  char* m = map(fd, bytes, rw, MAP_SHARED);
  char* n = map(other, bytes, PROT_READ, MAP_SHARED);
  fill(m, 2, 0, bytes);
  CHECK_FILLED(n, 2, 0, bytes);
  SYS(mount(nullptr, "b", nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr));
  SYS_ERR(open("b/f", O_RDWR), EROFS);
  CHECK_FILLED(n, 2, 0, bytes);
  munmap(n, bytes);
  close(other);
  SYS(umount("b"));
  munmap(m, bytes);
  close(fd);
  SYS(umount("n"));
}
