// SPDX-License-Identifier: MIT
#include "maps.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <system_error>

namespace morsel::bench {

namespace {

struct Vma {
  unsigned long start = 0;
  unsigned long end = 0;
  char readable = 0;  ///< 'r' or '-'
  char shared = 0;    ///< 's' or 'p'
  unsigned dev_major = 0;
  unsigned dev_minor = 0;
  unsigned long inode = 0;
  std::string name;
};

template <class Function>
void for_each_vma(Function function) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    Vma vma;
    int name = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %c%*2s%c %*s %x:%x %lu %n", &vma.start, &vma.end,
                    &vma.readable, &vma.shared, &vma.dev_major, &vma.dev_minor, &vma.inode,
                    &name) != 7)
      continue;
    vma.name = line.substr(static_cast<size_t>(name));
    function(vma);
  }
}

}  // namespace

MappedFile mapped_of(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) throw std::system_error(errno, std::generic_category(), path);
  MappedFile mapped;
  for_each_vma([&](const Vma& vma) {
    if (vma.shared == 's' && vma.inode != 0) {
      mapped.shared_bytes += vma.end - vma.start;
      if (vma.readable == 'r') mapped.shared_names.insert(vma.name);
    }
    if (vma.inode != st.st_ino || vma.dev_major != major(st.st_dev) ||
        vma.dev_minor != minor(st.st_dev))
      return;
    mapped.bytes += vma.end - vma.start;
    ++mapped.vmas;
  });
  return mapped;
}

std::string backing_of(const void* address) {
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  std::string name;
  for_each_vma([&](const Vma& vma) {
    if (vma.start <= wanted && wanted < vma.end) name = vma.name;
  });
  return name;
}

}  // namespace morsel::bench
