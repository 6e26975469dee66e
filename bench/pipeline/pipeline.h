// SPDX-License-Identifier: MIT
// Three processes and the packets that go through them, one at a time.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "way.h"

namespace morsel::bench {

struct PipelineOptions {
  WayOptions way;
  unsigned packets = 1000;
  std::string work = "full";  ///< see work.h
};

/// Microseconds per packet: medians, and `rtt_min_us`, `rtt_max_us`. `user_us` is the three stages'
/// work alone, done once more on packets that all of them have just worked on; `wait_us` is from
/// where a stage begins to hand over to where the next one knows, three times; `kernel_us` is the
/// rest: making, mapping, faulting, copying, unmapping. Throws if a packet is not what it must be.
nlohmann::ordered_json measure_pipeline(const PipelineOptions& options);

}  // namespace morsel::bench
