// SPDX-License-Identifier: MIT
#include "place.h"

#include <sys/mman.h>

#include <atomic>
#include <cerrno>

#include "syscall.h"

namespace morsel::preload {
namespace {

// The kernel puts mappings downwards from a random address near the stack, this library's own
// among them; far below the library nothing is, until the program has mapped `distance`. What is
// there all the same makes mmap fail, and we try further down. Not too far: sanitizers allow the
// program only the terabytes near the stack.
constexpr uintptr_t distance = 64 * gib;
constexpr uintptr_t window = 1024 * gib;
constexpr int tries = 64;

uintptr_t top;                      // 0 until the constructor has run
std::atomic<uintptr_t> used_below;  // the window's part that was given out

/// Downwards, and around at the window's end: what was unmapped is found again.
uintptr_t next_place(size_t length) {
  uintptr_t used = used_below.load(std::memory_order_relaxed);
  uintptr_t now;
  do {
    now = used + length <= window ? used + length : length;
  } while (!used_below.compare_exchange_weak(used, now, std::memory_order_relaxed));
  return top - now;
}

}  // namespace

void choose_places() {
  const uintptr_t here = round_down(reinterpret_cast<uintptr_t>(&used_below), gib);
  // With the legacy layout the library may lie too low for all that.
  if (here > distance + window) top = here - distance;
}

Range map_aligned(int fd, size_t length, uintptr_t offset) {
  if (!top || length > window) return {};
  for (int i = 0; i < tries; ++i) {
    const uintptr_t place = next_place(length);
    const long at = call(SYS_mmap, place, length, PROT_READ,
                         MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd, offset);
    if (!failed(at)) return {place, place + length};
    if (at != -EEXIST) break;
  }
  return {};
}

}  // namespace morsel::preload
