// SPDX-License-Identifier: MIT
//
// What the mapping tests share: contents that tell where they belong, touches
// that may fail, files, and the info ioctl.
#ifndef MORSELS_TESTS_MEMORY_H
#define MORSELS_TESTS_MEMORY_H

#include <sys/ioctl.h>

#include "../../uapi/morselfs.h"
#include "harness.h"

constexpr size_t page = 4096, leaf = 2 << 20, slot = 1 << 30;
constexpr size_t page_words = page / 8;

// --- contents -----------------------------------------------------------------

// Word at byte `offset` of the contents `seed`; never zero, and unlike any word
// of another seed or offset.
inline uint64_t word_at(uint64_t seed, uint64_t offset) {
  uint64_t x = (seed << 44) + (offset | 1);
  x *= 0x9e3779b97f4a7c15;
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93;
  return x | 1;
}

inline void fill(void* to, uint64_t seed, uint64_t offset, size_t bytes) {
  auto* words = static_cast<volatile uint64_t*>(to);
  for (size_t i = 0; i < bytes / 8; i++) words[i] = word_at(seed, offset + i * 8);
}

// Index of the first byte that is not as `fill` makes it, or `bytes`.
inline size_t differs(const void* from, uint64_t seed, uint64_t offset, size_t bytes) {
  auto* words = static_cast<const volatile uint64_t*>(from);
  for (size_t i = 0; i < bytes / 8; i++)
    if (words[i] != word_at(seed, offset + i * 8)) return i * 8;
  return bytes;
}

inline size_t nonzero(const void* from, size_t bytes) {
  auto* words = static_cast<const volatile uint64_t*>(from);
  for (size_t i = 0; i < bytes / 8; i++)
    if (words[i]) return i * 8;
  return bytes;
}

#define CHECK_FILLED(from, seed, offset, bytes)                               \
  do {                                                                        \
    const void* from_ = (from);                                               \
    size_t bytes_ = (bytes), at_ = differs(from_, seed, offset, bytes_);      \
    if (at_ < bytes_)                                                         \
      FAIL("%s: expected 0x%llx at byte 0x%zx, seen 0x%llx", #from,           \
           (unsigned long long)word_at(seed, (offset) + at_), at_,            \
           (unsigned long long)*(const uint64_t*)((const char*)from_ + at_)); \
  } while (0)

// The first and the last word of each page: quick, and it touches every page.
#define CHECK_PAGES(from, seed, offset, bytes)                                                   \
  do {                                                                                           \
    const char* pages_ = (from);                                                                 \
    for (size_t p_ = 0; p_ < (bytes); p_ += page)                                                \
      for (size_t w_ : {p_, p_ + page - 8})                                                      \
        if (auto seen_ = *(const volatile uint64_t*)(pages_ + w_);                               \
            seen_ != word_at(seed, (offset) + w_))                                               \
          FAIL("%s: expected 0x%llx at byte 0x%zx, seen 0x%llx", #from,                          \
               (unsigned long long)word_at(seed, (offset) + w_), w_, (unsigned long long)seen_); \
  } while (0)

#define CHECK_ZERO(from, bytes)                                               \
  do {                                                                        \
    const void* from_ = (from);                                               \
    size_t bytes_ = (bytes), at_ = nonzero(from_, bytes_);                    \
    if (at_ < bytes_)                                                         \
      FAIL("%s: expected zero at byte 0x%zx, seen 0x%llx", #from, at_,        \
           (unsigned long long)*(const uint64_t*)((const char*)from_ + at_)); \
  } while (0)

// --- touches that may fail ----------------------------------------------------

// 0, or the signal (SIGSEGV, SIGBUS) that the access raised.
int probe_read(const void* at, uint64_t* seen = nullptr);
int probe_write(void* at, uint64_t value);
// Calls the machine code there.
int probe_call(const void* at, int* result);

#define CHECK_SIGNAL_READ(at, expected) CHECK_EQ(probe_read(at), expected)
#define CHECK_SIGNAL_WRITE(at, expected) CHECK_EQ(probe_write(at, 1), expected)

// --- files --------------------------------------------------------------------

// A new file, open for reading and writing: `bytes` of contents `seed`.
int make_file(const char* name, uint64_t seed, size_t bytes);
// Sparse; only its size is set.
int make_sparse(const char* name, size_t bytes);
void write_filled(int fd, uint64_t seed, uint64_t offset, size_t bytes);
// Reads with pread and compares.
void check_file(int fd, uint64_t seed, uint64_t offset, size_t bytes);
void check_file_zero(int fd, uint64_t offset, size_t bytes);

// mmap that has to succeed.
char* map(int fd, size_t bytes, int prot, int flags, uint64_t offset = 0, void* at = nullptr);
// Address space of this size at an address that is `offset` bytes above a
// multiple of `align`, with PROT_NONE; for MAP_FIXED.
char* reserve(size_t bytes, size_t align, size_t offset = 0);
constexpr int rw = PROT_READ | PROT_WRITE;

// How a mapping lies in the address space, which decides how it can be grafted.
enum class Place {
  fits,  // 2-MiB slots of the file and of the address space coincide
  odd,   // they don't
  slot,  // as `fits`, and the mapping is one whole 1-GiB slot, mostly beyond the end of the file
};
constexpr Place places[] = {Place::fits, Place::odd, Place::slot};
constexpr size_t mapped_bytes(Place place, size_t bytes) {
  return place == Place::slot ? slot : bytes;
}
char* map_at(Place place, int fd, size_t bytes, int prot);

// Zero-filled info of a file on morselfs; SKIPs the test on another file system.
morselfs_info info(int fd);

// Whether the kernel has what MORSELFS_IOC_EXPORT gives; its only error for a good argument if not.
bool has_dma_bufs();

// A line of /proc/PID/status in KiB, e.g. "VmPTE".
long status_kib(const char* key, pid_t pid = 0);
// Faults (minor + major) of this process so far.
long faults();

// --- processes and threads ----------------------------------------------------

// Lets processes wait for each other; lies in shared memory.
struct Gate {
  volatile int count;
  void open() { __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST); }
  void wait(int until = 1) {
    while (__atomic_load_n(&count, __ATOMIC_SEQ_CST) < until) usleep(500);
  }
};
// Shared, zeroed memory.
void* shared_memory(size_t bytes);
template <class T>
T* shared() {
  return static_cast<T*>(shared_memory(sizeof(T)));
}

#endif
