// SPDX-License-Identifier: MIT
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "cache.h"
#include "doctor.h"
#include "room.h"
#include "text.h"

namespace morsel::tool {

namespace {

using enum Check::Level;

constexpr uint64_t huge_page = 2 << 20;

uint64_t memory_of_machine() {
  return uint64_t(sysconf(_SC_PHYS_PAGES)) * uint64_t(sysconf(_SC_PAGESIZE));
}

void check_available(Checks& checks) {
  // Of the cgroup, too, where there is one with a limit.
  const uint64_t available = available_memory(), all = memory_of_machine();
  checks.push_back({available < all / 16 ? warn : ok, "memory",
                    size_text(available) + " of " + size_text(all) + " available", ""});
  auto limit = cache_limit();
  if (!limit)
    checks.push_back({warn, "limit", limit.error().text, "unset MORSEL_CACHE_LIMIT"});
  else
    checks.push_back(
        {*limit > all ? warn : ok, "limit", "the cache may have " + size_text(*limit), ""});
}

void check_huge_pages(Checks& checks) {
  const HugePages pages = huge_pages();
  if (!pages.supported) {
    checks.push_back({missing, "hugetlb", "this kernel has no 2-MiB pages (hugetlb)", ""});
    return;
  }
  const uint64_t possible = (pages.free + pages.more) * huge_page;
  const std::string text = "2-MiB pages: " + std::to_string(pages.free) + " free, " +
                           std::to_string(pages.more) + " more on demand, together " +
                           size_text(possible);
  const bool enough = possible / huge_page >= sensible_huge_pages();
  checks.push_back({possible == 0 ? missing
                    : enough      ? ok
                                  : warn,
                    "hugetlb", text, enough ? "" : "morsel setup --hugepages"});
}

void check_shmem(Checks& checks) {
  const std::string line = line_of("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  const size_t from = line.find('['), to = line.find(']');
  const std::string choice = from == std::string::npos || to == std::string::npos
                                 ? ""
                                 : line.substr(from + 1, to - from - 1);
  if (choice.empty())
    checks.push_back({warn, "shmem", "this kernel has no huge pages for shared memory", ""});
  else if (choice == "never" || choice == "deny")
    checks.push_back({warn, "shmem",
                      "huge pages for shared memory: " + choice + " (concerns memfd only)",
                      "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled"});
  else
    checks.push_back({ok, "shmem", "huge pages for shared memory: " + choice, ""});
}

void check_memlock(Checks& checks) {
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  const bool unlimited = limit.rlim_cur == RLIM_INFINITY;
  const bool enough = unlimited || limit.rlim_cur >= (uint64_t(1) << 30);
  // What is cached needs no locking; programs that insist on it may fail.
  checks.push_back(
      {enough ? ok : warn, "memlock",
       "memory that may be locked: " + (unlimited ? "any" : size_text(limit.rlim_cur)) +
           (enough ? "" : "; only programs that lock their model want more"),
       enough ? "" : "ulimit -l unlimited"});
}

void check_cgroup(Checks& checks) {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/")) continue;
    const std::string folder = "/sys/fs/cgroup" + line.substr(3);
    for (const char* name : {"memory.max", "hugetlb.2MB.max"}) {
      const std::string limit = line_of(folder + "/" + name);
      if (limit.empty() || limit == "max") continue;
      checks.push_back({warn, "cgroup",
                        printable(folder) + "/" + name + " is " + size_text(std::stoull(limit)),
                        "echo max > " + printable(folder) + "/" + name});
      return;
    }
  }
  checks.push_back({ok, "cgroup", "no limit of memory in this control group", ""});
}

}  // namespace

unsigned long sensible_huge_pages() { return memory_of_machine() / 2 / huge_page; }

void check_memory(Checks& checks) {
  check_available(checks);
  check_huge_pages(checks);
  check_shmem(checks);
  check_memlock(checks);
  check_cgroup(checks);
}

}  // namespace morsel::tool
