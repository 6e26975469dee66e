// SPDX-License-Identifier: MIT
#include "room.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace morsel {

namespace {

std::optional<uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  uint64_t value;
  if (file >> value) return value;
  return {};  // not there, or "max"
}

uint64_t of_machine() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  uint64_t kib;
  while (file >> word)
    if (word == "MemAvailable:" && file >> kib) return kib << 10;
  return std::numeric_limits<uint64_t>::max();
}

// "0::/a/b" is the line of cgroup v2; a limit of any group above holds too.
uint64_t of_groups() {
  uint64_t least = std::numeric_limits<uint64_t>::max();
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("0::/")) continue;
    std::string group = line.substr(3);
    while (!group.empty()) {
      std::string folder = "/sys/fs/cgroup" + group;
      auto limit = read_number(folder + "/memory.max");
      auto used = read_number(folder + "/memory.current");
      if (limit && used) least = std::min(least, *limit - std::min(*limit, *used));
      // "/" is what a container sees of its own group.
      group.resize(group == "/" ? 0 : std::max<size_t>(1, group.rfind('/')));
    }
  }
  return least;
}

}  // namespace

uint64_t available_memory() { return std::min(of_machine(), of_groups()); }

HugePages huge_pages() {
  const std::string folder = "/sys/kernel/mm/hugepages/hugepages-2048kB/";
  auto free = read_number(folder + "free_hugepages");
  if (!free) return {};
  uint64_t reserved = read_number(folder + "resv_hugepages").value_or(0);
  uint64_t surplus = read_number(folder + "surplus_hugepages").value_or(0);
  uint64_t overcommit = read_number(folder + "nr_overcommit_hugepages").value_or(0);
  return {true, *free - std::min(*free, reserved), overcommit - std::min(overcommit, surplus)};
}

}  // namespace morsel
