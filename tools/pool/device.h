// SPDX-License-Identifier: MIT
// What the kernel tells about a block device.
#pragma once

#include <string>

namespace morsel::pool {

/// Why a pool on this device can't be mounted; empty if it can be, or nobody knows.
std::string obstacle_of(const std::string& device);

}  // namespace morsel::pool
