// SPDX-License-Identifier: MIT
// System calls that throw, and what is opened by them.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace morsel::bench {

template <typename T>
T checked(T result, const std::string& what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

class File {
 public:
  File(const std::string& path, int flags, mode_t mode = 0644)
      : fd_(checked(::open(path.c_str(), flags | O_CLOEXEC, mode), path)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(fd_); }

  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

/// Whether the file is mapped without the page cache.
inline bool is_dax(const std::string& path) {
  struct statx stx {};
  checked(::statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS, &stx), path);
  return (stx.stx_attributes & STATX_ATTR_DAX) != 0;
}

/// All of it, or an exception.
inline void write_at(int fd, const void* data, size_t bytes, off_t at) {
  if (checked(::pwrite(fd, data, bytes, at), "pwrite") != static_cast<ssize_t>(bytes))
    throw std::system_error(ENOSPC, std::generic_category(), "pwrite");
}

}  // namespace morsel::bench
