// SPDX-License-Identifier: MIT
#include "info.h"

#include <sys/ioctl.h>
#include <sys/vfs.h>

#include <cerrno>
#include <system_error>

namespace morsel::bench {

std::optional<morselfs_info> query_info(int fd) {
  struct statfs fs {};
  if (::fstatfs(fd, &fs) != 0) throw std::system_error(errno, std::generic_category(), "fstatfs");
  // The field is signed and as wide as a register: compare what the magic number has.
  if (static_cast<__u32>(fs.f_type) != MORSELFS_SUPER_MAGIC) return std::nullopt;
  morselfs_info info{};
  info.size = sizeof info;
  if (::ioctl(fd, MORSELFS_IOC_INFO, &info) != 0)
    throw std::system_error(errno, std::generic_category(), "MORSELFS_IOC_INFO");
  return info;
}

}  // namespace morsel::bench
