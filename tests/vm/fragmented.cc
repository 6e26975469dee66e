// SPDX-License-Identifier: MIT
//
// A machine whose free memory lies in small pieces: files get 4-KiB leaves at once there, and 2-MiB
// leaves later, when there are frames for them.
#include <sys/mount.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "huge.h"

namespace {

constexpr size_t slots = 8, bytes = slots * leaf;
// One page of so many stays: no run of free pages is longer, and none can be made by moving pages,
// since frames of a file on morselfs are not movable.
constexpr size_t pattern = 64 * page;

// A number of KiB in a file of /proc.
long kib_in(const char* path, const char* key) {
  FILE* file = fopen(path, "re");
  CHECK(file);
  char line[128];
  long value = -1;
  while (fgets(line, sizeof line, file))
    if (!strncmp(line, key, strlen(key))) value = atol(line + strlen(key));
  fclose(file);
  CHECK(value >= 0);
  return value;
}

// Takes so many free 2-MiB pieces of memory away until this process ends or gives them back:
// hugetlbfs reserves them for a mapping, and nobody touches them.
class Taken {
 public:
  Taken() {
    int fd = SYS(open("/proc/sys/vm/nr_overcommit_hugepages", O_WRONLY | O_CLOEXEC));
    CHECK_EQ(write(fd, "1000000", 7), 7);
    close(fd);
  }
  // False if the kernel does not give so many away.
  bool take(size_t pieces) {
    auto flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
    void* at = mmap(nullptr, pieces * leaf, rw, flags, -1, 0);
    if (at != MAP_FAILED) all.push_back({at, pieces * leaf});
    return at != MAP_FAILED;
  }
  void give_back() {
    for (auto [at, size] : all) SYS(munmap(at, size));
  }

 private:
  struct Part {
    void* at;
    size_t size;
  };
  std::vector<Part> all;
};

// A file on a mount of its own whose pages are spread over the rest.
class Holes {
 public:
  Holes() {
    SYS(mkdir("small", 0755));
    SYS(mount("none", "small", "morselfs", 0, "size=100%,huge=never"));
    fd = SYS(open("small/f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  }
  void grow(size_t by) {
    SYS(fallocate(fd, 0, off_t(size), off_t(by)));
    size += by;
  }
  void perforate() {
    for (size_t at = page; at < size; at += pattern)
      SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(at),
                    off_t(std::min(pattern - page, size - at))));
  }
  void give_back() {
    close(fd);
    SYS(unlink("small/f"));
    SYS(umount("small"));
  }

 private:
  int fd;
  size_t size = 0;
};

// Most of memory is just taken away. Of the rest so much is taken apart as the test needs.
void fragment(Taken& large, Holes& small) {
  auto free_bytes = [] { return size_t(kib_in("/proc/meminfo", "MemFree:")) << 10; };
  // What the kernel keeps for itself, where nobody else gets.
  const size_t kept = size_t(kib_in("/proc/sys/vm/min_free_kbytes", "")) << 10;
  // Small pieces are to be left in each of the two zones, which are used up one after the other,
  // and more than CPUs keep in lists of their own.
  constexpr size_t much = 192 << 20;
  small.grow(much);
  if (size_t now = free_bytes(), left = 2 * kept + much; now > left)
    CHECK(large.take((now - left) / leaf));
  while (free_bytes() > 2 * kept + bytes) small.grow(2 * leaf);
  small.perforate();
  // There is plenty of memory again, and the large pieces that are left are open to all.
  while (free_large_blocks() && large.take(1))
    ;
}

// How many 4-KiB leaves there are. Some 2-MiB ones are found all the same: requests that fail wake
// the kernel's own compaction, and how much that gets done is the kernel's affair.
size_t small_leaves(int fd) {
  morselfs_info i = info(fd);
  CHECK_EQ(i.leaves_4k * page + i.leaves_2m * leaf, bytes);
  return i.leaves_4k;
}

}  // namespace

// A mount with the leaves of the one that is tested, and a budget for the worker that promotes
// later.
void mount_files(unsigned long flags, const char* promote) {
  std::string options = promote + harness::huge_option();
  SYS(mount("none", "files", "morselfs", flags, options.c_str()));
}

// All ways to get data, and none waits until the kernel has moved other pages out of the way.
TEST_LIMIT(fragmented_memory, 300) {
  if (!harness::is_morselfs() || harness::in_pool()) SKIP("about 2-MiB leaves of morselfs");
  if (harness::huge_option() == ",huge=never") SKIP("nobody wants 2-MiB leaves here");
  if (geteuid() != 0) SKIP("needs another mount");
  SYS(mkdir("files", 0755));
  mount_files(0, "promote=0");  // the worker may wait for the kernel to do so
  Taken large;
  Holes small;
  fragment(large, small);
  CHECK_EQ(free_large_blocks(), 0);
  const long stalls = vmstat("compact_stall");

  int written = make_sparse("files/written", 0);
  auto buffer = std::make_unique<char[]>(leaf);
  for (size_t at = 0; at < bytes; at += leaf) {
    fill(buffer.get(), 1, at, leaf);
    CHECK_EQ(pwrite(written, buffer.get(), leaf, off_t(at)), leaf);
  }
  int allocated = make_sparse("files/allocated", 0);
  SYS(fallocate(allocated, 0, 0, bytes));
  int touched = make_sparse("files/touched", bytes);
  set_policy(touched, MORSELFS_HUGE_ALWAYS);
  char* m = map_at(Place::fits, touched, bytes, rw);
  for (size_t at = 0; at < bytes; at += page) fill(m + at, 3, at, page);
  int appended = make_file("files/appended", 4, bytes);

  // Somebody else may have waited for compaction once; we would have, for each slot.
  CHECK(vmstat("compact_stall") - stalls < long(slots));
  size_t small_ones = 0;
  for (int fd : {written, allocated, touched, appended}) small_ones += small_leaves(fd);
  CHECK(small_ones > 0);
  check_file(written, 1, 0, bytes);
  check_file_zero(allocated, 0, bytes);
  check_file(touched, 3, 0, bytes);
  check_file(appended, 4, 0, bytes);

  // Who asks for it is told what is missing, and nothing is lost.
  morselfs_range range = promote(written);
  CHECK(range.lacking_bytes + range.busy_bytes <= small_leaves(written) * page);
  check_file(written, 1, 0, bytes);
  if (range.lacking_bytes) CHECK(info(written).promote_failed > 0);
  CHECK_PAGES(m, 3, 0, bytes);

  // Memory is whole again: what was asked for, and what the worker does by itself.
  large.give_back();
  small.give_back();
  promote_all(written);
  CHECK_EQ(info(written).leaves_2m, slots);
  check_file(written, 1, 0, bytes);
  mount_files(MS_REMOUNT, "promote=256");
  for (int fd : {allocated, touched, appended}) {
    set_policy(fd, MORSELFS_HUGE_WITHIN_SIZE);
    while (info(fd).leaves_2m < slots) usleep(10000);
  }
  check_file_zero(allocated, 0, bytes);
  check_file(appended, 4, 0, bytes);
  CHECK_PAGES(m, 3, 0, bytes);
  CHECK_EQ(mapped_by_large_leaves(m), bytes);
  check_file(touched, 3, 0, bytes);
}
