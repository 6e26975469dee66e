// SPDX-License-Identifier: MIT
#include "memory.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "mapping.h"

namespace morsel::bench {
namespace {

void write_to(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  if (!file) throw std::runtime_error(path + ": can't be written to");
}

uint64_t meminfo(const std::string& name) {
  std::ifstream file("/proc/meminfo");
  std::string key;
  for (uint64_t kib = 0; file >> key >> kib; file.ignore(256, '\n'))
    if (key == name + ":") return kib * 1024;
  throw std::runtime_error("/proc/meminfo has no " + name);
}

/// The kernel moves thousands of pages at a time between a CPU's lists and the zone.
uint64_t free_bytes() {
  std::ifstream file("/proc/zoneinfo");
  uint64_t pages = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    uint64_t count = 0;
    if (words >> name >> count && (name == "nr_free_pages" || name == "count:")) pages += count;
  }
  return pages * page_bytes;
}

}  // namespace

MemoryUse memory_use(const std::string& cgroup) {
  ::sync();
  write_to("/proc/sys/vm/drop_caches", "3");
  ::sleep(2);  // what is freed after a grace period
  MemoryUse use;
  use.free = free_bytes();
  use.available = meminfo("MemAvailable");
  use.slab = meminfo("Slab");
  use.tables = meminfo("PageTables");
  if (std::ifstream file(cgroup + "/memory.current"); file) file >> use.group;
  return use;
}

nlohmann::ordered_json difference(const MemoryUse& before, const MemoryUse& after) {
  const auto more = [](uint64_t from, uint64_t to) {
    return static_cast<int64_t>(to) - static_cast<int64_t>(from);
  };
  return {{"taken_bytes", more(after.free, before.free)},
          {"available_bytes", more(after.available, before.available)},
          {"slab_bytes", more(before.slab, after.slab)},
          {"table_bytes", more(before.tables, after.tables)},
          {"cgroup_bytes", more(before.group, after.group)}};
}

std::string enter_cgroup(const std::string& name) {
  const std::string root = "/sys/fs/cgroup", path = root + "/" + name;
  write_to(root + "/cgroup.subtree_control", "+memory");
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)
    throw std::system_error(errno, std::generic_category(), path);
  write_to(path + "/cgroup.procs", std::to_string(::getpid()));
  return path;
}

void fragment_memory(uint64_t leave) {
  constexpr uint64_t part = 64 << 20, kept_of = 64 * page_bytes;
  std::vector<char*> parts;
  while (free_bytes() > leave + part) {
    void* at = ::mmap(nullptr, part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    ::madvise(at, part, MADV_NOHUGEPAGE);
    if (::madvise(at, part, MADV_POPULATE_WRITE) != 0)
      throw std::system_error(errno, std::generic_category(), "MADV_POPULATE_WRITE");
    parts.push_back(static_cast<char*>(at));
  }
  for (char* at : parts)
    for (uint64_t from = 0; from < part; from += kept_of)
      ::madvise(at + from + page_bytes, kept_of - page_bytes, MADV_DONTNEED);
}

uint64_t free_large_pieces() {
  std::ifstream file("/proc/buddyinfo");
  uint64_t pieces = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string skipped, zone;
    words >> skipped >> skipped >> skipped >> zone;
    if (zone == "DMA") continue;  // kept back
    uint64_t count = 0;
    for (unsigned order = 0; words >> count; ++order)
      if (order >= 9) pieces += count << (order - 9);
  }
  return pieces;
}

}  // namespace morsel::bench
