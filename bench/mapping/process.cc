// SPDX-License-Identifier: MIT
#include "process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace morsel::bench {

uint64_t faults() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_minflt + usage.ru_majflt);
}

uint64_t page_table_bytes() {
  // On the stack and by plain system calls: the heap would grow page tables of its own.
  std::array<char, 4096> text{};
  const int fd = ::open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  const ssize_t n = fd < 0 ? -1 : ::read(fd, text.data(), text.size() - 1);
  if (n < 0) throw std::system_error(errno, std::generic_category(), "/proc/self/status");
  ::close(fd);
  const char* line = std::strstr(text.data(), "VmPTE:");
  if (line == nullptr) throw std::runtime_error("/proc/self/status has no VmPTE");
  return std::strtoull(line + std::strlen("VmPTE:"), nullptr, 10) * 1024;
}

uint64_t now_ns() {
  struct timespec now {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace morsel::bench
