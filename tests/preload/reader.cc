// SPDX-License-Identifier: MIT
//
// An unmodified program: maps a file, reads a byte of each page, and prints what it cost.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace {
long faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}
}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
  struct stat st {};
  if (fd < 0 || fstat(fd, &st) != 0) return 1;
  const auto bytes = static_cast<size_t>(st.st_size);
  const long before = faults();
  void* p = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED) return 1;
  unsigned long sum = 0;
  for (size_t i = 0; i < bytes; i += 4096) sum += static_cast<const unsigned char*>(p)[i];
  std::printf("faults %ld sum %lu\n", faults() - before, sum);
  return munmap(p, bytes) != 0;
}
