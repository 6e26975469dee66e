// SPDX-License-Identifier: MIT
#include "huge.h"

#include <algorithm>
#include <memory>

#include <linux/kernel-page-flags.h>

namespace {

constexpr size_t slot_pages = leaf / page;

morselfs_range move(int fd, unsigned long request, uint64_t start, uint64_t length) {
  if (!harness::is_morselfs()) SKIP("about 2-MiB leaves of morselfs");
  if (harness::in_pool()) SKIP("pools have no 2-MiB leaves");
  morselfs_range range{};
  range.size = sizeof range;
  range.start = start;
  range.length = length;
  SYS(ioctl(fd, request, &range));
  CHECK_EQ(range.size, sizeof range);
  CHECK_EQ((range.done_bytes | range.busy_bytes | range.lacking_bytes) % leaf, 0);
  return range;
}

// Words of a file of /proc that has one for each page.
std::unique_ptr<uint64_t[]> words(int fd, uint64_t first, size_t count) {
  auto all = std::make_unique<uint64_t[]>(count);
  CHECK_EQ(pread(fd, all.get(), count * 8, off_t(first * 8)), count * 8);
  return all;
}

bool is_in_place(const uint64_t* flags, size_t place) {
  auto has = [flags](size_t at, unsigned bit) { return flags[at] >> bit & 1; };
  if (!has(0, KPF_COMPOUND_HEAD)) return false;
  return place == 0 || has(place, KPF_COMPOUND_TAIL);
}

}  // namespace

morselfs_range promote(int fd, uint64_t start, uint64_t length) {
  return move(fd, MORSELFS_IOC_PROMOTE, start, length);
}

morselfs_range demote(int fd, uint64_t start, uint64_t length) {
  return move(fd, MORSELFS_IOC_DEMOTE, start, length);
}

void promote_all(int fd, uint64_t start, uint64_t length) {
  for (;; usleep(2000)) {
    morselfs_range range = promote(fd, start, length);
    if (!range.busy_bytes && !range.lacking_bytes) return;
  }
}

void demote_all(int fd) {
  for (;; usleep(2000)) {
    morselfs_range range = demote(fd);
    if (!range.busy_bytes && !range.lacking_bytes) return;
  }
}

void set_policy(int fd, uint32_t policy) {
  if (!harness::is_morselfs()) SKIP("about 2-MiB leaves of morselfs");
  SYS(ioctl(fd, MORSELFS_IOC_HUGE, &policy));
}

Frames frames_behind(const char* at, size_t bytes) {
  static const int pagemap = SYS(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  static const int kpageflags = SYS(open("/proc/kpageflags", O_RDONLY | O_CLOEXEC));
  constexpr uint64_t present = uint64_t{1} << 63, frame = (uint64_t{1} << 55) - 1;
  auto entries = words(pagemap, uintptr_t(at) / page, bytes / page);
  Frames found;
  std::unique_ptr<uint64_t[]> flags;
  uint64_t flags_of = 0;
  for (size_t i = 0; i < bytes / page; i++) {
    if (!(entries[i] & present)) {
      found.absent++;
      continue;
    }
    uint64_t pfn = entries[i] & frame, block = pfn - pfn % slot_pages;
    if (!flags || flags_of != block) flags = words(kpageflags, flags_of = block, slot_pages);
    (is_in_place(flags.get(), pfn - block) ? found.compound : found.single)++;
  }
  return found;
}

size_t mapped_by_large_leaves(const char* at) {
  FILE* smaps = fopen("/proc/self/smaps", "re");
  CHECK(smaps);
  char line[256];
  bool inside = false;
  size_t kib = 0;
  while (fgets(line, sizeof line, smaps)) {
    unsigned long from, to, value;
    if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
      inside = uintptr_t(at) >= from && uintptr_t(at) < to;
    else if (inside && sscanf(line, "FilePmdMapped: %lu kB", &value) == 1)
      kib += value;
  }
  fclose(smaps);
  return kib << 10;
}

long vmstat(const char* name) {
  FILE* file = fopen("/proc/vmstat", "re");
  CHECK(file);
  char word[64];
  long value;
  while (fscanf(file, "%63s %ld", word, &value) == 2)
    if (!strcmp(word, name)) {
      fclose(file);
      return value;
    }
  FAIL("expected %s in /proc/vmstat", name);
}

long free_large_blocks() {
  FILE* file = fopen("/proc/buddyinfo", "re");
  CHECK(file);
  char line[512], zone[32];
  long blocks = 0;
  while (fgets(line, sizeof line, file)) {
    int at = 0, node;
    if (sscanf(line, "Node %d, zone %31s%n", &node, zone, &at) != 2 || !strcmp(zone, "DMA"))
      continue;
    const char* rest = line + at;
    long count;
    for (int order = 0, next; sscanf(rest, "%ld%n", &count, &next) == 1; order++, rest += next)
      if (order >= 9) blocks += count;
  }
  fclose(file);
  return blocks;
}
