// SPDX-License-Identifier: MIT
#include "holder_keeper.h"

#include <sys/mman.h>

#include <algorithm>

namespace morsel::holder {

Result<Keeper> Keeper::map(int fd, uint64_t bytes) {
  const uint64_t length = round_up(bytes, pud_slot);
  auto region = Region::reserve(length, pud_slot);
  if (!region) return region.error();
  if (Status status = region->map(fd, 0, length, PROT_READ, MAP_NORESERVE); !status)
    return status.error();
  return Keeper(std::move(*region), bytes);
}

bool Keeper::step() {
  // Not by loads: memory that the hardware has lost would be a SIGBUS. Whoever reads that page will
  // learn of it; the rest is as good as before.
  const uint64_t length = std::min(pud_slot, bytes_ - touched_);
  madvise(region_.at() + touched_, length, MADV_POPULATE_READ);
  touched_ += length;
  return touched_ == bytes_;
}

}  // namespace morsel::holder
