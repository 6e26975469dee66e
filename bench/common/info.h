// SPDX-License-Identifier: MIT
// What morselfs says about a file: grafts and leaves.
#pragma once

#include <morselfs.h>

#include <optional>

namespace morsel::bench {

/// The file's state, nothing when it does not lie on morselfs. Throws std::system_error when it
/// does and the ioctl fails all the same.
std::optional<morselfs_info> query_info(int fd);

}  // namespace morsel::bench
