// SPDX-License-Identifier: MIT
// Finding morselfs.
#pragma once

#include <string>
#include <vector>

namespace morsel {

/// The directories on which a morselfs is mounted, in the order of mounting; without those that
/// another mount hides.
std::vector<std::string> morselfs_mounts();

bool is_on_morselfs(const std::string& path);
bool is_on_morselfs(int fd);

}  // namespace morsel
