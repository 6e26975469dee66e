// SPDX-License-Identifier: MIT
// Which leaves a file has, and how they are changed.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "mapping.h"

namespace morsel::bench {

MapRequest whole_file(const std::string& path);

/// What is behind a mapping of the file, as the file system, the frames and the page table say:
///   leaves_4k, leaves_2m, waste_bytes   the info ioctl; only on morselfs
///   mapped_2m_bytes                     by large entries, as /proc/self/smaps counts them
///   looked, in_large_frames             of pages that were looked at, those in 2-MiB frames
nlohmann::ordered_json describe_leaves(const std::string& path);

/// Moves all of the file: {"us", "done_bytes", "busy_bytes", "lacking_bytes"}.
nlohmann::ordered_json promote_file(const std::string& path);

/// The time that promoting takes, from small frames (as many times), with the file mapped by
/// another process or not: {"bytes", "mapped", "promote_us": median, "samples"}. The file is
/// written anew for each sample.
nlohmann::ordered_json measure_promotion(const std::string& path, uint64_t bytes, bool mapped,
                                         unsigned times);

/// The object's own policy (MORSELFS_HUGE_*).
void set_policy(const std::string& path, unsigned policy);

}  // namespace morsel::bench
