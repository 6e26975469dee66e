// SPDX-License-Identifier: MIT
// Looks at a mapping, without a clock: what covers it, how large its leaves are, and whether the
// bytes seen through it are the file's.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "mapping.h"

namespace morsel::bench {

/// Which pages still fault, in order, when they are read one after the other. Empty
/// when mmap alone covered all. At most `limit` page numbers; one more means "too many". The page
/// that next_table() tells is left out.
std::vector<uint64_t> find_uncovered(const MapRequest& request, const Mapping& mapping,
                                     uint64_t limit);

/// JSON with `backing`, `checksum`, `kpageflags`, and the info ioctl's answer if `fd` is on
/// morselfs.
nlohmann::ordered_json describe(const unsigned char* data, uint64_t bytes, int fd);

/// Maps, and describes; with `uncovered` where the system's page tables come with the file.
nlohmann::ordered_json inspect(const MapRequest& request, bool find);

}  // namespace morsel::bench
