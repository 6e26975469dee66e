// SPDX-License-Identifier: MIT
//
// The functions of libc that this library stands in front of (LD_PRELOAD). Each makes the real
// system call by itself: libc's own function would do nothing else, and finding it by dlsym is not
// possible everywhere from where mmap is called.
#include <pthread.h>
#include <sys/mman.h>

#include <bit>
#include <cerrno>
#include <cstdarg>

#include "opened.h"
#include "place.h"
#include "regions.h"
#include "replace.h"
#include "settings.h"
#include "syscall.h"

namespace morsel::preload {
namespace {

long give(long result) {
  if (!failed(result)) return result;
  errno = static_cast<int>(-result);
  return -1;
}

void* give_address(long result) { return std::bit_cast<void*>(give(result)); }

/// Neither the first address nor the length is what the kernel takes: it says so, and does nothing.
bool is_wrong(const void* address, Range range) {
  return range.empty() || range.begin != reinterpret_cast<uintptr_t>(address);
}

/// Something that changes nothing of a region, but would of ordinary memory. `real` does it, and
/// `inside` is what a region does for its part.
template <typename Real, typename Inside>
long leave_regions_alone(Range range, bool stop, Real real, Inside inside) {
  return regions.for_each_part(
      range, stop,
      [&](const Region& region, Range part) {
        if (!region.keeps(part)) return static_cast<long>(-ENOMEM);
        inside(part);
        return 0L;
      },
      [&](Range part) { return real(part); });
}

template <typename Real>
long leave_regions_alone(Range range, bool stop, Real real) {
  return leave_regions_alone(range, stop, real, [](Range) {});
}

/// Something that a region can't do: it ends to be one, and the kernel does it.
template <typename Real>
long revert_regions(Range range, Real real) {
  if (!range.empty() && regions.touched_by(range))
    if (const long error = regions.revert(range)) return error;
  return real();
}

/// Advice about when to read and what to keep: a region is in memory, always, and is read-only,
/// so dropping its pages would bring back the same ones. To core dumps its kind does not belong.
/// Not even the kernel must hear of it: a mapping with other flags shares no page tables.
bool is_void(int advice) {
  switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_DONTNEED:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_COLD:
    case MADV_PAGEOUT:
    case MADV_POPULATE_READ:
    case 25:  // MADV_COLLAPSE, which older headers lack
      return true;
    default:
      return false;
  }
}

long advise(void* address, size_t length, int advice) {
  const Range range = Range::of(address, length);
  const auto real = [&] { return call(SYS_madvise, address, length, advice); };
  if (is_wrong(address, range) || !regions.touched_by(range)) return real();
  if (!is_void(advice)) return revert_regions(range, real);
  return leave_regions_alone(
      range, false, [&](Range part) { return call(SYS_madvise, part.begin, part.size(), advice); },
      [&](Range part) {
        if (advice == MADV_POPULATE_READ) touch(part);
      });
}

/// hugetlb and morselfs are never swapped out: what is mapped is locked, and nothing is
/// accounted.
template <typename Real>
long lock_or_unlock(const void* address, size_t length, Real real) {
  const Range range = Range::of(address, length);
  if (range.empty() || !regions.touched_by(range))
    return real(reinterpret_cast<uintptr_t>(address), length);
  return leave_regions_alone(range, true,
                             [&](Range part) { return real(part.begin, part.size()); });
}

__attribute__((constructor)) void start() {
  read_settings();
  take_opened();
  choose_places();
  pthread_atfork([] { regions.lock().acquire(); }, [] { regions.lock().release(); },
                 [] { regions.lock().release(); });
}

}  // namespace
}  // namespace morsel::preload

using namespace morsel::preload;

#pragma GCC visibility push(default)
extern "C" {

void* mmap(void* address, size_t length, int prot, int flags, int fd, off_t offset) noexcept {
  const auto real = [&] { return call(SYS_mmap, address, length, prot, flags, fd, offset); };
  if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
    const Range range = Range::of(address, length);
    // What the program still has there is to be in the way. What it has unmapped is not.
    if ((flags & MAP_FIXED_NOREPLACE) && regions.keeps_any(range)) return give_address(real());
    return give_address(revert_regions(range, real));
  }
  const uintptr_t replaced = replace({address, length, prot, flags, fd, offset});
  return replaced ? std::bit_cast<void*>(replaced) : give_address(real());
}

void* mmap64(void* address, size_t length, int prot, int flags, int fd, off64_t offset) noexcept
    __attribute__((alias("mmap")));

int munmap(void* address, size_t length) noexcept {
  const Range range = Range::of(address, length);
  if (is_wrong(address, range) || !regions.touched_by(range))
    return give(call(SYS_munmap, address, length));
  return give(regions.for_each_part(
      range, true, [](Region& region, Range part) { return region.unmap(part); },
      [](Range part) { return call(SYS_munmap, part.begin, part.size()); }));
}

int mprotect(void* address, size_t length, int prot) noexcept {
  const Range range = Range::of(address, length);
  const auto real = [&] { return call(SYS_mprotect, address, length, prot); };
  if (is_wrong(address, range) || !regions.touched_by(range)) return give(real());
  if (prot != PROT_READ) return give(revert_regions(range, real));
  return give(leave_regions_alone(
      range, true, [&](Range part) { return call(SYS_mprotect, part.begin, part.size(), prot); }));
}

int pkey_mprotect(void* address, size_t length, int prot, int key) noexcept {
  if (key == -1) return mprotect(address, length, prot);
  const Range range = Range::of(address, length);
  const auto real = [&] { return call(SYS_pkey_mprotect, address, length, prot, key); };
  return give(is_wrong(address, range) ? real() : revert_regions(range, real));
}

void* mremap(void* address, size_t old_length, size_t length, int flags, ...) noexcept {
  void* to = nullptr;
  if (flags & MREMAP_FIXED) {
    va_list more;
    va_start(more, flags);
    to = va_arg(more, void*);
    va_end(more);
  }
  const auto real = [&] { return call(SYS_mremap, address, old_length, length, flags, to); };
  // A length of 0 means all of a shared mapping.
  const Range from = Range::of(address, old_length ? old_length : 1);
  if (flags & MREMAP_FIXED) {
    const Range target = Range::of(to, length);
    return give_address(revert_regions(target, [&] { return revert_regions(from, real); }));
  }
  return give_address(revert_regions(from, real));
}

int madvise(void* address, size_t length, int advice) noexcept {
  return give(advise(address, length, advice));
}

int posix_madvise(void* address, size_t length, int advice) noexcept {
  // As in libc: the standard's advice may not change contents, the kernel's would.
  if (advice == POSIX_MADV_DONTNEED) return 0;
  return static_cast<int>(-advise(address, length, advice));
}

int mlock(const void* address, size_t length) noexcept {
  return give(lock_or_unlock(address, length,
                             [](uintptr_t at, size_t size) { return call(SYS_mlock, at, size); }));
}

int mlock2(const void* address, size_t length, unsigned flags) noexcept {
  const auto real = [&](uintptr_t at, size_t size) { return call(SYS_mlock2, at, size, flags); };
  if (flags & ~unsigned{MLOCK_ONFAULT}) return give(-EINVAL);
  return give(lock_or_unlock(address, length, real));
}

int munlock(const void* address, size_t length) noexcept {
  return give(lock_or_unlock(
      address, length, [](uintptr_t at, size_t size) { return call(SYS_munlock, at, size); }));
}

int msync(void* address, size_t length, int flags) {
  const Range range = Range::of(address, length);
  const bool wrong = (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) ||
                     (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC);
  if (wrong || is_wrong(address, range) || !regions.touched_by(range))
    return give(call(SYS_msync, address, length, flags));
  // Nothing can have been written to a region.
  return give(leave_regions_alone(
      range, false, [&](Range part) { return call(SYS_msync, part.begin, part.size(), flags); }));
}

}  // extern "C"
#pragma GCC visibility pop
