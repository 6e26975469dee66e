// SPDX-License-Identifier: MIT
// What the kernel counts for the calling process.
#pragma once

#include <cstdint>

namespace morsel::bench {

/// Minor and major faults until now.
uint64_t faults();

/// VmPTE of /proc/self/status: bytes of page tables charged to this process.
uint64_t page_table_bytes();

/// Monotonic clock.
uint64_t now_ns();

}  // namespace morsel::bench
