// SPDX-License-Identifier: MIT
#include "channel_object.h"

#include "object.h"

namespace morsel::channel {

Result<std::byte*> PooledObject::address(uint64_t bytes, morsel_access access) {
  View& view = this->view(access);
  // Whole slots reach beyond the end: an object that grows within them needs no new mapping.
  const uint64_t length = whole_slots(bytes);
  if (view.region && length <= view.length) return view.region->at();
  auto region = Region::reserve(length, slot_for(bytes));
  if (!region) return region.error();
  if (Status status = backend_->map(*region, fd_.get(), length, access); !status)
    return status.error();
  view.region.reset();
  view.region.emplace(std::move(*region));
  view.length = length;
  return view.region->at();
}

Result<uint64_t> PooledObject::resize(uint64_t bytes) {
  auto from = size_of(fd_.get());
  if (!from) return from.error();
  const uint64_t to = backend_->rounded(bytes);
  if (Status status = backend_->resize(fd_.get(), *from, to); !status) return status.error();
  return to;
}

void PooledObject::unmap() {
  for (View& view : views_) {
    view.region.reset();
    view.length = 0;
  }
}

}  // namespace morsel::channel
