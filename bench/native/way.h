/* SPDX-License-Identifier: MIT */
/*
 * A way to have an object of shared memory, and to map it in constant time. Two are measured
 * against each other: by_hand.c, with system calls, and by_library.c, with libmorsel. The program
 * around them is the same.
 */
#ifndef MORSELS_BENCH_WAY_H
#define MORSELS_BENCH_WAY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct way_mapping {
  const unsigned char* data;
  int fd;
  /* The way's own. */
  uint64_t bytes;
  const char* path;
  void* object;
  void* mapped;
};

/* All of them print what is wrong and exit: there is nothing to measure then. */

/*
 * Copies a file to an object that others can map as long as this process lives. Prints what
 * way_map() calls it.
 */
void way_hold(const char* source);
/* What way_hold() made goes. */
void way_drop(void);
/*
 * Runs what way_map() runs on something else, so that the program's own pages are there: map-bench
 * does so, too.
 */
void way_warm(void);
/* Finds it by that name. By hand that is nothing: the name is a path, which way_map() opens. */
void way_open(const char* object, uint64_t bytes, struct way_mapping* mapping);
/*
 * Maps what was opened, read-only, through a descriptor of its own, and touches what must be
 * touched so that nothing faults later.
 */
void way_map(struct way_mapping* mapping);
void way_unmap(struct way_mapping* mapping);

#ifdef __cplusplus
}
#endif
#endif
