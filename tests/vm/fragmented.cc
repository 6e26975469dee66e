// SPDX-License-Identifier: MIT
//
// A machine whose free memory lies in small pieces: files get 4-KiB leaves at once there, and 2-MiB
// leaves later, when there are frames for them.
#include <sys/mount.h>

#include <algorithm>
#include <memory>

#include "huge.h"

namespace {

constexpr size_t slots = 16, bytes = slots * leaf;
// One page of so many stays: no run of free pages is longer, and none can be made by moving pages,
// since frames of a file on morselfs are not movable.
constexpr size_t pattern = 64 * page;

long meminfo_kib(const char* key) {
  FILE* file = fopen("/proc/meminfo", "re");
  CHECK(file);
  char line[128];
  long value = -1;
  while (fgets(line, sizeof line, file))
    if (!strncmp(line, key, strlen(key))) value = atol(line + strlen(key) + 1);
  fclose(file);
  CHECK(value >= 0);
  return value;
}

// Another mount, with a file that has taken all 2-MiB pieces of memory apart.
class Filler {
 public:
  Filler() {
    SYS(mkdir("filler", 0755));
    SYS(mount("none", "filler", "morselfs", 0, "size=100%,huge=never"));
    int fd = make_sparse("filler/f", 0);
    size_t size = 0;
    auto grow = [&](size_t by) {
      SYS(fallocate(fd, 0, off_t(size), off_t(by)));
      size += by;
    };
    // Small frames come from small pieces first, so when no large one is left hardly anything is:
    // what the kernel keeps free for itself.
    while (meminfo_kib("MemFree") > 512 << 10) grow(64 << 20);
    while (free_large_blocks()) grow(1 << 20);
    for (size_t at = page; at < size; at += pattern)
      SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(at),
                    off_t(std::min(pattern - page, size - at))));
    close(fd);
  }
  void give_back() {
    SYS(unlink("filler/f"));
    SYS(umount("filler"));
    while (free_large_blocks() < long(4 * slots)) usleep(10000);
  }
};

// Leaves of 2 MiB that were found all the same: the kernel may have set something free meanwhile.
constexpr size_t few = slots / 8;

void check_small(int fd) {
  morselfs_info i = info(fd);
  CHECK_EQ(i.leaves_4k * page + i.leaves_2m * leaf, bytes);
  CHECK(i.leaves_2m <= few);
}

}  // namespace

// All ways to get data, and none waits until the kernel has moved other pages out of the way.
TEST_LIMIT(fragmented_memory, 300) {
  if (!harness::is_morselfs() || harness::in_pool()) SKIP("about 2-MiB leaves of morselfs");
  if (harness::huge_option() == ",huge=never") SKIP("nobody wants 2-MiB leaves here");
  if (geteuid() != 0) SKIP("needs another mount");
  Filler filler;
  CHECK_EQ(free_large_blocks(), 0);
  const long stalls = vmstat("compact_stall");

  int written = make_sparse("written", 0);
  auto buffer = std::make_unique<char[]>(leaf);
  for (size_t at = 0; at < bytes; at += leaf) {
    fill(buffer.get(), 1, at, leaf);
    CHECK_EQ(pwrite(written, buffer.get(), leaf, off_t(at)), leaf);
  }
  int allocated = make_sparse("allocated", 0);
  SYS(fallocate(allocated, 0, 0, bytes));
  int touched = make_sparse("touched", bytes);
  set_policy(touched, MORSELFS_HUGE_ALWAYS);
  char* m = map_at(Place::fits, touched, bytes, rw);
  for (size_t at = 0; at < bytes; at += page) fill(m + at, 3, at, page);
  int appended = make_file("appended", 4, bytes);

  CHECK_EQ(vmstat("compact_stall"), stalls);
  for (int fd : {written, allocated, touched, appended}) check_small(fd);
  check_file(written, 1, 0, bytes);
  check_file_zero(allocated, 0, bytes);
  check_file(touched, 3, 0, bytes);
  check_file(appended, 4, 0, bytes);

  // Who asks for it is told what is missing, and nothing is lost.
  morselfs_range range = promote(written);
  CHECK(range.lacking_bytes >= bytes - 2 * few * leaf);
  check_small(touched);
  check_file(written, 1, 0, bytes);
  CHECK(info(written).promote_failed > 0);
  CHECK_PAGES(m, 3, 0, bytes);

  // Memory is whole again: what was asked for, and what the worker finds to do.
  filler.give_back();
  promote_all(written);
  CHECK_EQ(info(written).leaves_2m, slots);
  check_file(written, 1, 0, bytes);
  for (int fd : {allocated, touched, appended})
    while (info(fd).leaves_2m < slots) usleep(10000);
  check_file_zero(allocated, 0, bytes);
  check_file(appended, 4, 0, bytes);
  CHECK_PAGES(m, 3, 0, bytes);
  CHECK_EQ(mapped_by_large_leaves(m), bytes);
  check_file(touched, 3, 0, bytes);
}
