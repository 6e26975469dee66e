// SPDX-License-Identifier: MIT
// What the calling process has mapped of a file.
#pragma once

#include <cstdint>
#include <string>

namespace morsel::bench {

struct MappedFile {
  uint64_t bytes = 0;
  unsigned vmas = 0;
};

/// Sum over the lines of /proc/self/maps that show this device and inode: names may differ
/// (links, mount points), these do not.
MappedFile mapped_of(const std::string& path);

}  // namespace morsel::bench
