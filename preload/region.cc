// SPDX-License-Identifier: MIT
#include "region.h"

#include <sys/mman.h>

#include <cerrno>

#include "syscall.h"

namespace morsel::preload {
namespace {

void discard(uintptr_t begin, uintptr_t end) {
  if (begin < end) call(SYS_munmap, begin, end - begin);
}

}  // namespace

void Region::set_range(Range range) {
  begin_.store(range.begin, std::memory_order_relaxed);
  end_.store(range.end, std::memory_order_release);
}

void Region::begin(Range object, uintptr_t fallback, Range visible, uintptr_t unit) {
  fallback_ = fallback;
  unit_ = unit;
  kept_.assign(visible);
  set_range(object);
}

/// What is given back can be another thread's before this returns; who looks it up in the table
/// then waits for the lock, and finds the new bounds.
void Region::trim(Range to) {
  const Range all = range();
  const uintptr_t to_fallback = fallback_ - all.begin;
  for (const Range gone : {Range{all.begin, to.begin}, Range{to.end, all.end}}) {
    discard(gone.begin, gone.end);
    discard(gone.begin + to_fallback, gone.end + to_fallback);
  }
  fallback_ = to.begin + to_fallback;
  set_range(to);
}

long Region::unmap(Range part) {
  if (!kept_.remove(part)) {
    const long error = revert();
    return error ? error : call(SYS_munmap, part.begin, part.size());
  }
  if (kept_.empty()) {
    const Range all = range();
    discard(all.begin, all.end);
    discard(fallback_, fallback_ + all.size());
    set_range({});
  } else {
    const Range hull = kept_.hull();
    trim({round_down(hull.begin, unit_), round_up(hull.end, unit_)});
  }
  return 0;
}

long Region::revert() {
  const Range all = range();
  // Readable before it moves: other threads may be reading.
  if (call(SYS_mprotect, fallback_, all.size(), PROT_READ) != 0 ||
      failed(call(SYS_mremap, fallback_, all.size(), all.size(), MREMAP_MAYMOVE | MREMAP_FIXED,
                  all.begin)))
    return -ENOMEM;
  uintptr_t done = all.begin;
  for (const Range part : kept_.parts()) {
    discard(done, part.begin);
    done = part.end;
  }
  discard(done, all.end);
  set_range({});
  return 0;
}

}  // namespace morsel::preload
