// SPDX-License-Identifier: MIT
// Sizes as people write them.
#pragma once

#include <cstdint>
#include <string>

#include "result.h"

namespace morsel {

/// "16G", "1.5GiB", "512M", "4096" as bytes; units are powers of 1024. -EINVAL.
Result<uint64_t> parse_size(const std::string& text);

}  // namespace morsel
