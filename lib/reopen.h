// SPDX-License-Identifier: MIT
// Descriptors: new ones of the same object.
#pragma once

#include <morsel/morsel.h>

#include "descriptor.h"
#include "result.h"

namespace morsel {

/// A new open file description of the same file: with rights and a flock of its own. Fails where
/// the file's mode forbids it to this user, and where there is no /proc.
Result<Descriptor> reopen(int fd, morsel_access access);

/// The same open file description once more.
Result<Descriptor> duplicate(int fd);

}  // namespace morsel
