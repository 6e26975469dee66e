// SPDX-License-Identifier: MIT
// How large the pieces of memory behind a mapping are, as /proc shows it.
#pragma once

#include <cstdint>

namespace morsel::bench {

struct LeafSurvey {
  uint64_t small = 0;       ///< looked-at pages whose frame stands alone
  uint64_t large = 0;       ///< looked-at pages in an aligned compound frame of 2 MiB or more
  uint64_t other = 0;       ///< looked-at pages in a compound frame of another size
  uint64_t absent = 0;      ///< looked-at pages that are not mapped
  uint64_t pmd_mapped = 0;  ///< bytes mapped by 2-MiB entries, as /proc/self/smaps counts them
  bool permitted = true;    ///< false: frame numbers are hidden from this process
};

/// Looks at up to 1,024 pages, evenly spread, through /proc/self/pagemap and /proc/kpageflags.
LeafSurvey survey_leaves(const unsigned char* data, uint64_t pages);

}  // namespace morsel::bench
