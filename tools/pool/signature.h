// SPDX-License-Identifier: MIT
// What lies on a medium already.
#pragma once

#include <string>

#include "image.h"

namespace morsel::pool {

/// "an ext2, ext3 or ext4 file system"; empty if there is nothing but zeros at the start.
std::string what_is_there(const Image& image);

}  // namespace morsel::pool
