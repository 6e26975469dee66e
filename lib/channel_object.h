// SPDX-License-Identifier: MIT
// An object of a channel's pool in this process: its descriptor, and where it is mapped. Used by
// whoever has the buffer, so by one thread at a time.
#pragma once

#include <array>
#include <optional>

#include "backend.h"

namespace morsel::channel {

class PooledObject {
 public:
  PooledObject(Descriptor fd, const Backend& backend) : fd_(std::move(fd)), backend_(&backend) {}

  /// Where it is; mapped now if need be. It has at least so many bytes.
  Result<std::byte*> address(uint64_t bytes, morsel_access access);
  /// What the size is then; it may be larger.
  Result<uint64_t> resize(uint64_t bytes);
  /// From now on accesses fault.
  void unmap();
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  struct View {
    std::optional<Region> region;
    uint64_t length = 0;
  };
  View& view(morsel_access access) { return views_[access == MORSEL_READ ? 0 : 1]; }

  Descriptor fd_;
  const Backend* backend_;
  std::array<View, 2> views_;
};

}  // namespace morsel::channel
