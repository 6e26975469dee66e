// SPDX-License-Identifier: MIT
//
// What the tests of 2-MiB leaves share: the ioctls that move slots, and which leaves the hardware
// really walks to.
#ifndef MORSELS_TESTS_HUGE_H
#define MORSELS_TESTS_HUGE_H

#include "memory.h"

// What has become of the whole slots in [start, start + length); 0: to the end of the file. SKIPs
// the test where nothing can be moved (another file system, a pool).
morselfs_range promote(int fd, uint64_t start = 0, uint64_t length = 0);
morselfs_range demote(int fd, uint64_t start = 0, uint64_t length = 0);
// Until the whole slots of the range are in 2-MiB leaves, or none is: what holds a page for a
// moment (a reader, a fault) or moves leaves, too (the module's worker) is in the way of one call.
void promote_all(int fd, uint64_t start = 0, uint64_t length = 0);
void demote_all(int fd);

void set_policy(int fd, uint32_t policy);  // MORSELFS_HUGE_*

// The frames behind a mapping whose pages are all mapped, by /proc/self/pagemap and
// /proc/kpageflags.
struct Frames {
  size_t single = 0;    // pages whose frame stands alone
  size_t compound = 0;  // pages in a 2-MiB frame, each in its own place of an aligned one
  size_t absent = 0;    // pages that are not mapped
};
Frames frames_behind(const char* at, size_t bytes);

// Bytes of the mapping at this address that 2-MiB leaves map, by /proc/self/smaps.
size_t mapped_by_large_leaves(const char* at);

// A number of /proc/vmstat.
long vmstat(const char* name);
// Free blocks of 2 MiB and more in /proc/buddyinfo, in all zones but DMA's, which are kept back.
long free_large_blocks();

#endif
