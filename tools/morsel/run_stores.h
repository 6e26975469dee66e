// SPDX-License-Identifier: MIT
// The stores that a program is told of.
#pragma once

#include <string>

namespace morsel::tool {

/// The directories of those that exist, in the order in which they are asked, ':' between.
std::string existing_stores();

}  // namespace morsel::tool
