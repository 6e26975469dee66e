// SPDX-License-Identifier: MIT
#include "slots.h"

#include <fcntl.h>
#include <morselfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "contents.h"
#include "info.h"
#include "leaf.h"
#include "measure.h"

namespace morsel::bench {
namespace {

class OpenFile {
 public:
  explicit OpenFile(const std::string& path)
      : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), path);
  }
  ~OpenFile() { ::close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  void control(unsigned long request, void* argument, const char* what) const {
    if (::ioctl(fd_, request, argument) != 0)
      throw std::system_error(errno, std::generic_category(), what);
  }

 private:
  int fd_;
};

}  // namespace

MapRequest whole_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    throw std::system_error(errno, std::generic_category(), path);
  MapRequest request;
  request.path = path;
  request.bytes = static_cast<uint64_t>(status.st_size);
  return request;
}

nlohmann::ordered_json describe_leaves(const std::string& path) {
  const MapRequest request = whole_file(path);
  const Mapping mapping(request);
  for (uint64_t page = 0; page < request.pages(); ++page) touch_page(mapping.data(), page);
  const LeafSurvey survey = survey_leaves(mapping.data(), request.pages());
  nlohmann::ordered_json row{{"bytes", request.bytes},
                             {"mapped_2m_bytes", survey.pmd_mapped},
                             {"looked", survey.small + survey.large + survey.other + survey.absent},
                             {"in_large_frames", survey.large}};
  if (const auto info = query_info(mapping.fd()))
    row.update({{"leaves_4k", info->leaves_4k},
                {"leaves_2m", info->leaves_2m},
                {"waste_bytes", info->waste_bytes}});
  return row;
}

nlohmann::ordered_json promote_file(const std::string& path) {
  const OpenFile file(path);
  morselfs_range range{};
  range.size = sizeof range;
  const uint64_t start = now_ns();
  file.control(MORSELFS_IOC_PROMOTE, &range, "MORSELFS_IOC_PROMOTE");
  return {{"us", to_us(now_ns() - start)},
          {"done_bytes", range.done_bytes},
          {"busy_bytes", range.busy_bytes},
          {"lacking_bytes", range.lacking_bytes}};
}

void set_policy(const std::string& path, unsigned policy) {
  __u32 value = policy;
  OpenFile(path).control(MORSELFS_IOC_HUGE, &value, "MORSELFS_IOC_HUGE");
}

nlohmann::ordered_json measure_promotion(const std::string& path, uint64_t bytes, bool mapped,
                                         unsigned times) {
  std::vector<double> samples;
  for (unsigned i = 0; i < times; ++i) {
    ::unlink(path.c_str());
    set_policy(path, MORSELFS_HUGE_NEVER);
    write_file(path, bytes);
    std::optional<Mapping> mapping;
    if (mapped) {
      mapping.emplace(whole_file(path));
      touch_page(mapping->data(), 0);
    }
    const auto moved = promote_file(path);
    if (moved["done_bytes"] != bytes / pmd_slot_bytes * pmd_slot_bytes)
      throw std::runtime_error("not all was moved: " + moved.dump());
    samples.push_back(moved["us"]);
    if (mapping) mapping->unmap();
  }
  std::vector<double> sorted = samples;
  std::sort(sorted.begin(), sorted.end());
  return {{"bytes", bytes},
          {"mapped", mapped},
          {"promote_us", sorted[sorted.size() / 2]},
          {"samples", samples}};
}

}  // namespace morsel::bench
