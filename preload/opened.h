// SPDX-License-Identifier: MIT
//
// Objects that `morsel run` has opened before it started the program, because the program's
// arguments name their files.
#pragma once

#include "object.h"

namespace morsel::preload {

/// Reads MORSEL_OPENED, and keeps the descriptors from programs that this one starts. For the
/// constructor.
void take_opened();

/// The object of the file of which fstat says this, with a descriptor for the caller, who closes
/// it. Without one (-1) if it was not opened, or the program has closed it since.
Object find_opened(const struct stat& source);

}  // namespace morsel::preload
