// SPDX-License-Identifier: MIT
// What all backends do alike.
#include "backend.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "error.h"

namespace morsel {

Status Backend::resize(int fd, uint64_t from, uint64_t to) const {
  // A mapping reaches to the end of the last page, and what was written there must not come to
  // light.
  uint64_t tail = std::min(round_up(from, pmd_slot), to);
  if (from < tail && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(from),
                               off_t(tail - from)) != 0)
    return system_error("clearing what lies behind the end");
  if (ftruncate(fd, off_t(to)) != 0) return system_error("setting the size to " + amount(to));
  if (from >= to) return Done{};
  Status status = allocate(fd, from, to);
  if (!status && ftruncate(fd, off_t(from)) != 0)
    return system_error("taking back the new size after \"" + status.error().text + "\"");
  return status;
}

Status Backend::map(const Region& region, int fd, uint64_t length, morsel_access access) const {
  return region.map(fd, 0, length, access == MORSEL_READ ? PROT_READ : PROT_READ | PROT_WRITE);
}

namespace {

Error no_choice(const char* name) {
  return Error{
      -EOPNOTSUPP,
      std::string(name) +
          " objects have pages of the kernel's choice; only on morselfs can they be chosen"};
}

}  // namespace

Status Backend::set_huge(int, morsel_huge) const { return no_choice(name); }

Result<morsel_moved> Backend::move(int, Move, uint64_t, uint64_t) const { return no_choice(name); }

Result<Descriptor> Backend::export_part(int, uint64_t, uint64_t, morsel_access) const {
  return Error{-EOPNOTSUPP,
               std::string("the object is made of ") + name +
                   ", and only objects on morselfs can be handed to devices as dma-bufs"};
}

std::array<const Backend*, 3> backends() {
  return {&morselfs_backend, &hugetlb_backend, &memfd_backend};
}

const Backend* find_backend(morsel_backend id) {
  for (const Backend* backend : backends())
    if (backend->id == id) return backend;
  return nullptr;
}

void touch_each(const std::byte* at, uint64_t bytes, uint64_t step) {
  for (uint64_t offset = 0; offset < bytes; offset += step)
    static_cast<void>(*static_cast<const volatile std::byte*>(at + offset));
}

Result<uint64_t> resident_bytes(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) return system_error("the object's state");
  return uint64_t(st.st_blocks) * 512;
}

}  // namespace morsel
