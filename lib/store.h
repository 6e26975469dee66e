// SPDX-License-Identifier: MIT
// Named objects: where they are kept, and how they are found (docs/library.md, "Stores").
#pragma once

#include <morsel/morsel.h>

#include <cstdint>
#include <string>

#include "descriptor.h"
#include "result.h"

namespace morsel {

/// Gives the object a name; `name` is the entry's ("name-NAME" for those of users). The store keeps
/// a descriptor of its own; on morselfs it links the file, which was made by O_TMPFILE. -EEXIST.
Status publish(const std::string& name, int fd, morsel_backend backend, uint64_t bytes,
               unsigned mode, const std::string& attributes);

/// A descriptor with these rights. -ENOENT, -EACCES, -EPERM (sealed).
Result<Descriptor> open_named(const std::string& name, morsel_access access);

/// -ENOENT, -EACCES.
Status remove_named(const std::string& name);

}  // namespace morsel
