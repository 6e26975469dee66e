// SPDX-License-Identifier: MIT
// Looks at a mapping, without a clock: what covers it, how large its leaves are, and whether the
// bytes seen through it are the file's.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "mapping.h"

namespace morsel::bench {

/// For a morsel: which pages still fault, in order, when they are read one after the other. Empty
/// when mmap alone covered all. At most `limit` page numbers; one more means "too many". The page
/// that next_table() tells is left out.
std::vector<uint64_t> find_uncovered(const MapRequest& request, const Mapping& mapping,
                                     uint64_t limit);

/// JSON with `uncovered` (morsels only), `checksum`, `kpageflags` and the info ioctl's answer.
nlohmann::ordered_json inspect(const MapRequest& request, bool morsel);

}  // namespace morsel::bench
