// SPDX-License-Identifier: MIT
//
// Asking the holder of a store for an object, when it is another user's process.
#pragma once

#include <string_view>

#include "text.h"

namespace morsel::preload {

using ObjectName = Text<128>;

/// A descriptor of the object, open for reading; -EACCES if the holder does not give one.
long open_at_holder(std::string_view store, std::string_view name);

}  // namespace morsel::preload
