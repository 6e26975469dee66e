// SPDX-License-Identifier: MIT
// One measurement, in a process that did nothing else before.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "mapping.h"
#include "prepare.h"

namespace morsel::bench {

struct Sample {
  double ready_us = 0;        ///< from just before open to the end of the preparation
  uint64_t ready_faults = 0;  ///< meanwhile
  uint64_t vmpte_bytes = 0;   ///< growth of VmPTE meanwhile
  uint64_t sweep_faults = 0;  ///< when every page is read once more after that
  double sweep_us = 0;
  double unmap_us = 0;
  double again_us = 0;  ///< ready_us of a second mapping in the same process, 0: not measured
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Sample, ready_us, ready_faults, vmpte_bytes, sweep_faults,
                                   sweep_us, unmap_us, again_us)

struct SampleOptions {
  std::string warm;   ///< file of the measured system that is mapped in this process before
  bool again = true;  ///< map a second time
  bool sweep = true;  ///< read every page; off where that would fill the holes of a sparse file
};

/// Measures. Before that, the same code runs on a small anonymous file (memfd), so that the
/// program's own pages and, in an emulator, their translations are there; the kernel's code is
/// warmed by other processes. With `warm` a file of the measured system takes that place: then
/// what a process pays for its first mapping of the system is not in the figure any more.
Sample measure_sample(const MapRequest& request, const Plan& plan, const SampleOptions& options);

}  // namespace morsel::bench
