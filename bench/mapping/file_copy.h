// SPDX-License-Identifier: MIT
// How a file gets onto the system that is measured.
#pragma once

#include <cstdint>
#include <string>

namespace morsel::bench {

/// Runs cp, as a person would. Throws std::runtime_error when it fails; what it wrote is removed.
void copy_with_cp(const std::string& from, const std::string& to);

/// Copies through a mapping of the target, for hugetlbfs, which has no write(2). The target is
/// rounded up to 2 MiB.
void copy_by_mapping(const std::string& from, const std::string& to);

uint64_t file_bytes(const std::string& path);

}  // namespace morsel::bench
