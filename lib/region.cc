// SPDX-License-Identifier: MIT
#include "region.h"

#include "error.h"

namespace morsel {

Result<Region> Region::reserve(uint64_t length, uint64_t alignment) {
  uint64_t reserved = length + alignment;
  void* start =
      mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return system_error("no " + amount(reserved) + " of address space");
  auto address = reinterpret_cast<uintptr_t>(start);
  uint64_t skipped = round_up(address, alignment) - address;
  return Region(start, reserved, static_cast<std::byte*>(start) + skipped);
}

Status Region::map(int fd, uint64_t offset, uint64_t length, int protection, int flags) const {
  if (mmap(at_, length, protection, MAP_SHARED | MAP_FIXED | flags, fd, off_t(offset)) ==
      MAP_FAILED)
    return system_error("mapping " + amount(length));
  return Done{};
}

}  // namespace morsel
