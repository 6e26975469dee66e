// SPDX-License-Identifier: MIT
// A mapping that keeps the page tables of a hugetlb object alive, for others to share.
#pragma once

#include <cstdint>

#include "region.h"
#include "result.h"

namespace morsel::holder {

/// Read-only, of whole GiBs, with every page touched in the end. Rules: docs/library.md.
class Keeper {
 public:
  /// `fd` is open for reading only; the object is sealed and has all its memory.
  static Result<Keeper> map(int fd, uint64_t bytes);

  /// Touches the next GiB. Step by step, as others wait meanwhile. True when all is done.
  bool step();

 private:
  Keeper(Region region, uint64_t bytes) : region_(std::move(region)), bytes_(bytes) {}

  Region region_;
  uint64_t bytes_, touched_ = 0;
};

}  // namespace morsel::holder
