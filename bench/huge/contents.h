// SPDX-License-Identifier: MIT
// Files to measure with.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace morsel::bench {

/// Writes a file as cp does: whole blocks of st_blksize, and at least 128 KiB, one after the other,
/// into a file whose size is not set before. Its words are no zeros. {"bytes", "write_us"}
nlohmann::ordered_json write_file(const std::string& path, uint64_t bytes);

/// Writes files f0, f1... whose sizes are log-uniform from 1 B to 64 MiB, until they have so many
/// bytes together; the same ones for the same seed. {"files", "bytes"}
nlohmann::ordered_json write_files(const std::string& directory, uint64_t bytes, uint64_t seed);

/// Maps each of these files and reads its first byte; nothing is mapped afterwards.
void map_files(const std::string& directory, uint64_t files);

}  // namespace morsel::bench
