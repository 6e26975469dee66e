// SPDX-License-Identifier: MIT
#include "maps.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <system_error>

namespace morsel::bench {

MappedFile mapped_of(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) throw std::system_error(errno, std::generic_category(), path);

  MappedFile mapped;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long start = 0;
    unsigned long end = 0;
    unsigned dev_major = 0;
    unsigned dev_minor = 0;
    unsigned long inode = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %*s %*s %x:%x %lu", &start, &end, &dev_major, &dev_minor,
                    &inode) != 5)
      continue;
    if (inode != st.st_ino || dev_major != major(st.st_dev) || dev_minor != minor(st.st_dev))
      continue;
    mapped.bytes += end - start;
    ++mapped.vmas;
  }
  return mapped;
}

}  // namespace morsel::bench
