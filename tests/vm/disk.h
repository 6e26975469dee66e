// SPDX-License-Identifier: MIT
//
// The scratch disk, an NVMe device, past the page cache.
#ifndef MORSELS_TESTS_DISK_H
#define MORSELS_TESTS_DISK_H

#include <sched.h>
#include <sys/mount.h>

#include "memory.h"

inline int open_disk() {
  if (harness::disk().empty()) SKIP("NEEDS A DISK: call it with a scratch block device");
  return SYS(open(harness::disk().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
}

// The disk's first 10 MiB are overwritten with these contents.
inline int fill_disk(uint64_t seed) {
  int disk = open_disk();
  char* buffer = map(-1, leaf, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  for (size_t at = 0; at < 5 * leaf; at += leaf) {
    fill(buffer, seed, at, leaf);
    CHECK_EQ(pwrite(disk, buffer, leaf, off_t(at)), leaf);
  }
  munmap(buffer, leaf);
  return disk;
}

inline void check_disk(int disk, uint64_t seed, size_t size) {
  char* buffer = map(-1, leaf, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  for (size_t at = 0; at < size; at += leaf) {
    size_t now = size - at < leaf ? size - at : leaf;
    CHECK_EQ(pread(disk, buffer, now, off_t(at)), now);
    CHECK_FILLED(buffer, seed, at, now);
  }
  munmap(buffer, leaf);
}

// The disk with an empty ext4 on it, mounted at the new directory "disk" for this process and its
// children: the mount goes with them.
inline void mount_disk() {
  close(open_disk());
  if (access("/sbin/mke2fs", X_OK) != 0) SKIP("there is no mke2fs");
  SYS(unshare(CLONE_NEWNS));
  SYS(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
  CHECK_EQ(system(("/sbin/mke2fs -b 4096 " + harness::disk() + " 65536 >/dev/null").c_str()), 0);
  SYS(mkdir("disk", 0755));
  SYS(mount(harness::disk().c_str(), "disk", "ext4", 0, nullptr));
}

inline void unmount_disk() {
  SYS(umount("disk"));
  SYS(rmdir("disk"));
}

#endif
