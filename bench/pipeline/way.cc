// SPDX-License-Identifier: MIT
#include "way.h"

#include <map>
#include <stdexcept>

namespace morsel::bench {
namespace {

using Make = std::unique_ptr<Way> (*)(const WayOptions&);

const std::map<std::string, Make>& all() {
  static const std::map<std::string, Make> ways{
      {"memfd-4k", make_file_way},
      {"tmpfs-huge", make_file_way},
      {"hugetlb", make_file_way},
      {"memfd-recycled", make_pool_way},
      {"hugetlb-recycled", make_pool_way},
      {"shm-ring", make_pool_way},
      {"pipe", make_stream_way},
      {"unix-stream", make_stream_way},
#ifdef HAVE_ICEORYX
      {"iceoryx", make_iceoryx_way},
#endif
      {"morsel-file", make_file_way},
      {"morsel-fresh", make_morsel_way},
      {"morsel-recycled", make_morsel_way},
      {"channel", make_channel_way},
  };
  return ways;
}

}  // namespace

std::vector<std::string> way_names() {
  std::vector<std::string> names;
  for (const auto& [name, make] : all()) names.push_back(name);
  return names;
}

std::unique_ptr<Way> make_way(const WayOptions& options) {
  const auto found = all().find(options.system);
  if (found == all().end()) throw std::runtime_error("there is no system " + options.system);
  return found->second(options);
}

}  // namespace morsel::bench
