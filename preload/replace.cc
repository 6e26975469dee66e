// SPDX-License-Identifier: MIT
#include "replace.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "object.h"
#include "place.h"
#include "regions.h"
#include "report.h"
#include "settings.h"
#include "syscall.h"

namespace morsel::preload {
namespace {

/// What a page-table entry covers at most is what is worth the trouble.
constexpr size_t least = huge_page;

// An object needs no reservation and no room for later growth, and is in memory already.
constexpr int understood = MAP_TYPE | MAP_POPULATE | MAP_NONBLOCK | MAP_NORESERVE | MAP_LOCKED |
                           MAP_DENYWRITE | MAP_EXECUTABLE | MAP_STACK;

/// What needs no system call to see. Most calls of mmap end here.
bool of_interest(const Request& r) {
  return !settings().stores.empty() && r.fd >= 0 && r.length >= least &&
         !(r.flags & MAP_ANONYMOUS) && r.offset >= 0 && r.offset % page == 0;
}

const char* why_not(const Request& r, const struct stat& source) {
  if (r.prot != PROT_READ) return "not mapped for reading only";
  // A hint is no promise, but who gives one may be about to rely on it.
  if (r.address || (r.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_32BIT)))
    return "mapped at an address of the program's choice";
  if (r.flags & ~understood) return "mapped with unusual flags";
  // The program may be about to write, and would want to see it in the mapping.
  if ((call(SYS_fcntl, r.fd, F_GETFL) & (O_ACCMODE | O_PATH)) != O_RDONLY)
    return "not opened for reading only";
  // Behind the file's last page is SIGBUS; the object may go on with zeros there.
  const uintptr_t end = round_up(static_cast<uintptr_t>(source.st_size), page);
  if (r.length > end || static_cast<uintptr_t>(r.offset) > end - round_up(r.length, page))
    return "mapped beyond its end";
  return nullptr;
}

void unmap(uintptr_t address, size_t length) { call(SYS_munmap, address, length); }

/// A region: the object, shared, and the mapping that was asked for beside it.
uintptr_t map_region(const Request& r, const Object& object) {
  const auto offset = static_cast<uintptr_t>(r.offset);
  const size_t length = round_up(r.length, page);
  const uintptr_t unit = object.kind == Kind::hugetlb ? gib : page;
  const uintptr_t first = round_down(offset, unit);
  const size_t size = round_up(offset + length, unit) - first;

  Range whole;
  if (object.kind == Kind::hugetlb) {
    whole = map_aligned(object.fd, size, first);
  } else {
    const long at = call(SYS_mmap, nullptr, size, PROT_READ, MAP_SHARED, object.fd, first);
    if (!failed(at)) whole = {static_cast<uintptr_t>(at), static_cast<uintptr_t>(at) + size};
  }
  if (whole.empty()) return 0;

  // Without access, so that nothing (mlockall) fills it meanwhile.
  const int flags = r.flags & (MAP_TYPE | MAP_NORESERVE);
  const long fallback = call(SYS_mmap, nullptr, size, PROT_NONE, flags, r.fd, first);
  const uintptr_t address = whole.begin + (offset - first);
  if (failed(fallback)) {
    unmap(whole.begin, size);
    return 0;
  }
  if (!regions.add(whole, static_cast<uintptr_t>(fallback), {address, address + length}, unit)) {
    unmap(static_cast<uintptr_t>(fallback), size);
    unmap(whole.begin, size);
    return 0;
  }
  if (object.kind == Kind::hugetlb && (r.flags & MAP_POPULATE) && !(r.flags & MAP_NONBLOCK))
    touch({address, address + length});
  return address;
}

/// Does all that a mapping of the file does: the kernel needs no help from us.
uintptr_t map_plainly(const Request& r, const Object& object) {
  int flags = r.flags;
  // One fault hangs everything in; filling would go through all pages one by one.
  if (object.kind == Kind::morselfs) flags &= ~(MAP_POPULATE | MAP_NONBLOCK);
  const long at = call(SYS_mmap, nullptr, r.length, r.prot, flags, object.fd, r.offset);
  return failed(at) ? 0 : static_cast<uintptr_t>(at);
}

uintptr_t map_object(const Request& r, const Object& object) {
  // morselfs grafts shared mappings only, and a private one may become writable later on.
  const bool is_private = (r.flags & MAP_TYPE) == MAP_PRIVATE;
  if (object.kind == Kind::hugetlb || (object.kind == Kind::morselfs && is_private))
    return map_region(r, object);
  return map_plainly(r, object);
}

}  // namespace

uintptr_t replace(const Request& r) {
  struct stat source {};
  if (!of_interest(r) || call(SYS_fstat, r.fd, &source) != 0 || !S_ISREG(source.st_mode) ||
      static_cast<size_t>(source.st_size) < least)
    return 0;
  if (const char* why = why_not(r, source)) {
    report_refused(r.fd, r.length, why);
    return 0;
  }
  const Object object = find_object(source);
  if (object.fd < 0) {
    report_refused(r.fd, r.length, object.why_not);
    return 0;
  }
  const uintptr_t address = map_object(r, object);
  call(SYS_close, object.fd);
  if (address)
    report_replaced(r.fd, r.length, object.kind);
  else
    report_refused(r.fd, r.length, "no room for one more mapping of its object");
  return address;
}

void touch(Range part) {
  while (!part.empty()) {
    // The kernel's way of touching: an error instead of SIGBUS.
    call(SYS_madvise, round_down(part.begin, huge_page), huge_page, MADV_POPULATE_READ);
    part.begin = round_down(part.begin, gib) + gib;
  }
}

}  // namespace morsel::preload
