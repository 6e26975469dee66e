// SPDX-License-Identifier: MIT
// The clock and the counters around one mapping.
#pragma once

#include <cstdint>

#include "mapping.h"
#include "process.h"
#include "sample.h"

namespace morsel::bench {

inline double to_us(uint64_t ns) { return static_cast<double>(ns) / 1000.0; }

/// `get_ready` maps, prepares, and returns the data; `unmap` takes the mapping away. Between them
/// every one of the `pages` is read again, unless `sweep` is off.
template <class GetReady, class Unmap>
Sample measure_once(uint64_t pages, bool sweep, GetReady get_ready, Unmap unmap) {
  Sample sample;
  const uint64_t vmpte_before = page_table_bytes();
  const uint64_t faults_before = faults();
  const uint64_t start = now_ns();
  const unsigned char* data = get_ready();
  const uint64_t ready = now_ns();
  sample.ready_faults = faults() - faults_before;
  sample.vmpte_bytes = page_table_bytes() - vmpte_before;
  sample.ready_us = to_us(ready - start);

  if (sweep) {
    const uint64_t sweep_faults_before = faults();
    const uint64_t sweep_start = now_ns();
    for (uint64_t page = 0; page < pages; ++page) touch_page(data, page);
    sample.sweep_us = to_us(now_ns() - sweep_start);
    sample.sweep_faults = faults() - sweep_faults_before;
  }

  const uint64_t unmap_start = now_ns();
  unmap();
  sample.unmap_us = to_us(now_ns() - unmap_start);
  return sample;
}

}  // namespace morsel::bench
