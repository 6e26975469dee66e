// SPDX-License-Identifier: MIT
#include "sample.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "process.h"

namespace morsel::bench {
namespace {

double to_us(uint64_t ns) { return static_cast<double>(ns) / 1000.0; }

Sample measure_once(const MapRequest& request, const Plan& plan, bool sweep) {
  Sample sample;
  const uint64_t vmpte_before = page_table_bytes();
  const uint64_t faults_before = faults();
  const uint64_t start = now_ns();
  Mapping mapping(request);
  prepare(plan, request, mapping.data());
  const uint64_t ready = now_ns();
  sample.ready_faults = faults() - faults_before;
  sample.vmpte_bytes = page_table_bytes() - vmpte_before;
  sample.ready_us = to_us(ready - start);

  if (sweep) {
    const uint64_t sweep_faults_before = faults();
    const uint64_t sweep_start = now_ns();
    for (uint64_t page = 0; page < request.pages(); ++page) touch_page(mapping.data(), page);
    sample.sweep_us = to_us(now_ns() - sweep_start);
    sample.sweep_faults = faults() - sweep_faults_before;
  }

  const uint64_t unmap_start = now_ns();
  mapping.unmap();
  sample.unmap_us = to_us(now_ns() - unmap_start);
  return sample;
}

void warm_up(MapRequest request, Plan plan, const std::string& warm) {
  int memfd = -1;
  if (warm.empty()) {
    memfd = ::memfd_create("warm", MFD_CLOEXEC);
    if (memfd < 0 || ::ftruncate(memfd, page_bytes) != 0)
      throw std::system_error(errno, std::generic_category(), "memfd");
    request.path = "/proc/self/fd/" + std::to_string(memfd);
    request.bytes = page_bytes;
    request.huge_tlb = false;
  } else {
    struct stat st {};
    if (::stat(warm.c_str(), &st) != 0)
      throw std::system_error(errno, std::generic_category(), warm);
    request.path = warm;
    request.bytes = static_cast<uint64_t>(st.st_size);
  }
  plan.uncovered = {0};
  // Reading all of a sparse file would fill its holes.
  for (int i = 0; i < 2; ++i) measure_once(request, plan, warm.empty());
  if (memfd >= 0) ::close(memfd);
}

}  // namespace

Sample measure_sample(const MapRequest& request, const Plan& plan, const SampleOptions& options) {
  warm_up(request, plan, options.warm);
  // The floor stays untouched to the end.
  Sample sample = measure_once(request, plan, options.sweep && plan.method != Method::none);
  if (options.again) sample.again_us = measure_once(request, plan, false).ready_us;
  return sample;
}

}  // namespace morsel::bench
