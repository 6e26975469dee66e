// SPDX-License-Identifier: MIT
#include "mapping.h"

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "error.h"
#include "reopen.h"

using namespace morsel;

namespace {

// Whether the page table has an entry for it.
bool is_present(const std::byte* at) {
  constexpr uintptr_t page = 4096;
  unsigned char state = 0;
  void* start = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(at) / page * page);
  return mincore(start, page, &state) != 0 || (state & 1);
}

}  // namespace

namespace morsel {

// The exclusive lock is held for moments, by who looks whether the object is used. Who holds it for
// longer is throwing the object out, which harms no mapping, or wants to block us.
void mark_used(int fd) {
  using namespace std::chrono_literals;
  for (int tries = 0; tries < 50 && flock(fd, LOCK_SH | LOCK_NB) != 0; tries++)
    std::this_thread::sleep_for(1ms);
  const timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
  futimens(fd, times);  // the last use; not everybody may say that
}

Result<std::unique_ptr<morsel_mapping>> map_object(const morsel_object& object,
                                                   morsel_access access) {
  if (access != MORSEL_READ && access != MORSEL_READ_WRITE)
    return Error{-EINVAL, "an object is mapped with MORSEL_READ or MORSEL_READ_WRITE"};
  if (access == MORSEL_READ_WRITE)
    if (Status status = may_write(object); !status) return status.error();
  auto bytes = size_of(object.fd.get());
  if (!bytes) return bytes.error();
  if (*bytes == 0) return Error{-EINVAL, "the object was cut to nothing"};

  // With the rights of the mapping and no more: the kernel counts who could write, and hugetlb
  // shares tables among equals only. Where the file's mode forbids it, the handle's must do.
  auto use = reopen(object.fd.get(), access);
  if (!use) use = duplicate(object.fd.get());
  if (!use) return use.error();
  mark_used(use->get());

  uint64_t length = whole_slots(*bytes);
  auto region = Region::reserve(length, slot_for(*bytes));
  if (!region) return region.error();
  if (Status status = object.backend->map(*region, use->get(), length, access); !status)
    return status.error();
  return std::unique_ptr<morsel_mapping>(
      new morsel_mapping{std::move(*use), object.backend, *bytes, std::move(*region),
                         object.tables_kept && object.backend->id == MORSEL_HUGETLB});
}

Result<bool> in_use(const morsel_object& object) {
  auto probe = reopen(object.fd.get(), MORSEL_READ);
  if (!probe) return probe.error();
  if (flock(probe->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return true;
    return system_error("flock");
  }
  // On morselfs those are seen, too, that know nothing of this library.
  morsel_statistics statistics{};
  if (Status status = object.backend->statistics(object.fd.get(), statistics); !status)
    return status.error();
  return statistics.mappings > 0;
}

}  // namespace morsel

int morsel_map(const morsel_object* object, morsel_access access, morsel_mapping** mapping,
               morsel_error* error) {
  return at_border(error, [&]() -> Status {
    auto made = map_object(*object, access);
    if (!made) return made.error();
    *mapping = made->release();
    return Done{};
  });
}

void* morsel_address(const morsel_mapping* mapping) { return mapping->region.at(); }

uint64_t morsel_mapped_bytes(const morsel_mapping* mapping) { return mapping->bytes; }

void morsel_touch(const morsel_mapping* mapping) {
  const std::byte* at = mapping->region.at();
  if (mapping->tables_kept) {
    touch_each(at, mapping->bytes, pud_slot);
    // The holder may have died since, and we were the first.
    if (is_present(at + std::min(mapping->bytes, pud_slot) - 1)) return;
  }
  mapping->backend->touch(at, mapping->bytes);
}

void morsel_unmap(morsel_mapping* mapping) { delete mapping; }

int morsel_in_use(const morsel_object* object, morsel_error* error) {
  return at_border(error, [&]() -> Result<int> {
    auto used = in_use(*object);
    if (!used) return used.error();
    return int(*used);
  });
}
