// SPDX-License-Identifier: MIT
// What the calling process has mapped.
#pragma once

#include <cstdint>
#include <set>
#include <string>

namespace morsel::bench {

struct MappedFile {
  uint64_t bytes = 0;
  unsigned vmas = 0;
  /// All shared mappings of files, whichever files these are.
  uint64_t shared_bytes = 0;
  /// Of those that can be read. (The shim keeps the file that it replaces mapped, without access.)
  std::set<std::string> shared_names;
};

/// Sum over the lines of /proc/self/maps that show this device and inode: names may differ
/// (links, mount points), these do not.
MappedFile mapped_of(const std::string& path);

/// The name that /proc/self/maps shows for the mapping at this address: of the file that is really
/// behind it, whatever was asked for. Empty when there is none.
std::string backing_of(const void* address);

}  // namespace morsel::bench
