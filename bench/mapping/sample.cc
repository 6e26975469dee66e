// SPDX-License-Identifier: MIT
#include "sample.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <system_error>

#include "measure.h"

namespace morsel::bench {
namespace {

Sample measure_file(const MapRequest& request, const Plan& plan, bool sweep) {
  std::optional<Mapping> mapping;
  return measure_once(
      request.pages(), sweep,
      [&] {
        mapping.emplace(request);
        prepare(plan, request, mapping->data());
        return mapping->data();
      },
      [&] { mapping->unmap(); });
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
  for (int i = 0; i < 2; ++i) measure_file(request, plan, warm.empty());
  if (memfd >= 0) ::close(memfd);
}

}  // namespace

Sample measure_sample(const MapRequest& request, const Plan& plan, const SampleOptions& options) {
  warm_up(request, plan, options.warm);
  // The floor stays untouched to the end.
  Sample sample = measure_file(request, plan, options.sweep && plan.method != Method::none);
  if (options.again) sample.again_us = measure_file(request, plan, false).ready_us;
  return sample;
}

}  // namespace morsel::bench
