// SPDX-License-Identifier: MIT
// A handle of an object.
#pragma once

#include <memory>
#include <string>

#include "backend.h"
#include "descriptor.h"
#include "result.h"

struct morsel_object {
  morsel::Descriptor fd;
  const morsel::Backend* backend;
  morsel_access access;
  std::string fallback;
  bool tables_kept = false;  /// see Opened
};

namespace morsel {

using Handle = std::unique_ptr<morsel_object>;

/// The object whose descriptor that is. -EINVAL: of none. Whoever it came from, nothing is
/// believed.
Result<Handle> adopt(Descriptor fd, bool tables_kept = false);

/// The object's size now; another process may change it.
Result<uint64_t> size_of(int fd);

/// -EPERM or -EACCES, unless the handle may write.
Status may_write(const morsel_object& object);

}  // namespace morsel
