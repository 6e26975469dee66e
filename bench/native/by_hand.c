// SPDX-License-Identifier: MIT
// The calls that make a stock kernel share page tables, by hand: docs/library.md has the rules.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "way.h"

static const uint64_t huge = 2ul << 20;
static const uint64_t table = 1ul << 30; /* what one shared page table covers */

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

/* Whole tables, at an address where one begins: the inside of a reservation is mapped over. */
static unsigned char* map_whole_tables(int fd, uint64_t bytes) {
  const uint64_t length = round_up(bytes, table);
  char* reserved =
      mmap(NULL, length + table, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) fail("reserving address space");
  char* start = (char*)round_up((uintptr_t)reserved, table);
  const uint64_t before = (uint64_t)(start - reserved);
  if (before != 0) munmap(reserved, before);
  munmap(start + length, table - before);
  /* NORESERVE in every process: the flags must be equal, and the last table is not full. */
  void* data = mmap(start, length, PROT_READ, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
  if (data == MAP_FAILED) fail("mmap");
  return data;
}

static void touch(const volatile unsigned char* data, uint64_t bytes, uint64_t step) {
  for (uint64_t at = 0; at < bytes; at += step) (void)data[at];
}

static void read_all(int fd, unsigned char* data, uint64_t bytes) {
  while (bytes != 0) {
    const ssize_t n = read(fd, data, bytes);
    if (n <= 0) fail("read");
    data += n;
    bytes -= (uint64_t)n;
  }
}

void way_hold(const char* source) {
  const int in = open(source, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (in < 0 || fstat(in, &st) != 0) fail(source);
  const uint64_t bytes = round_up((uint64_t)st.st_size, huge);

  const int fd = memfd_create("by-hand", MFD_HUGETLB | MFD_ALLOW_SEALING | MFD_CLOEXEC);
  if (fd < 0) fail("memfd_create");
  if (ftruncate(fd, (off_t)bytes) != 0) fail("ftruncate");
  if (fallocate(fd, 0, 0, (off_t)bytes) != 0) fail("fallocate");
  void* data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (data == MAP_FAILED) fail("mmap");
  read_all(in, data, (uint64_t)st.st_size);
  munmap(data, bytes);
  close(in);
  if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    fail("F_ADD_SEALS");

  /* The tables that others find are filled here: every page, by a mapping that stays. */
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), fd);
  const int readable = open(path, O_RDONLY | O_CLOEXEC);
  if (readable < 0) fail(path);
  touch(map_whole_tables(readable, bytes), bytes, huge);
  puts(path);
}

void way_drop(void) {} /* this process ends, and with it the object */

void way_open(const char* object, uint64_t bytes, struct way_mapping* mapping) {
  mapping->path = object;
  mapping->bytes = bytes;
}

void way_map(struct way_mapping* mapping) {
  mapping->fd = open(mapping->path, O_RDONLY | O_CLOEXEC);
  if (mapping->fd < 0) fail(mapping->path);
  mapping->mapped = map_whole_tables(mapping->fd, mapping->bytes);
  touch(mapping->mapped, mapping->bytes, table);
  mapping->data = mapping->mapped;
}

void way_warm(void) {
  const int fd = memfd_create("warm", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, 4096) != 0) fail("memfd");
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  struct way_mapping mapping;
  way_open(path, 4096, &mapping);
  way_map(&mapping);
  way_unmap(&mapping);
  close(fd);
}

void way_unmap(struct way_mapping* mapping) {
  munmap(mapping->mapped, round_up(mapping->bytes, table));
  close(mapping->fd);
}
