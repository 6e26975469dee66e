// SPDX-License-Identifier: MIT
//
// What the accounting tests share: small files that the kernel makes up, and a mount of one's own,
// whose numbers nobody else changes.
#ifndef MORSELS_TESTS_ACCOUNTING_H
#define MORSELS_TESTS_ACCOUNTING_H

#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "memory.h"

namespace accounting {

constexpr size_t mib = 1 << 20;

// The contents; "" if there is no such file.
inline std::string read_text(const std::string& path) {
  std::string text;
  char buffer[4096];
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, size_t(got));
  close(fd);
  return text;
}

inline bool write_text(const std::string& path, const std::string& text) {
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t written = write(fd, text.data(), text.size());
  int error = errno;
  close(fd);
  errno = error;
  return written == ssize_t(text.size());
}

// The number after `key` at the beginning of a line, as in /proc/meminfo.
inline int64_t number_after(const std::string& text, const std::string& key) {
  std::string lines = "\n" + text;
  auto at = lines.find("\n" + key);
  if (at == lines.npos) FAIL("expected a line '%s'", key.c_str());
  return strtoll(lines.c_str() + at + 1 + key.size(), nullptr, 10);
}

inline void mount_second(const char* at, const char* options = "size=256m,nr_inodes=100") {
  SYS(mkdir(at, 0755));
  std::string all = options + harness::huge_option();
  if (mount("none", at, harness::file_system(), 0, all.c_str()) != 0) {
    if (errno == EPERM) SKIP("can't mount here");
    FAIL("mount with %s: expected success, seen %s", all.c_str(), strerror(errno));
  }
}

inline uint64_t used_bytes(const char* at) {
  struct statfs s;
  SYS(statfs(at, &s));
  return (s.f_blocks - s.f_bfree) * page;
}

// Waits until something holds that comes about by itself: grace periods, freed caches.
template <class F>
bool soon(F&& holds) {
  for (int i = 0; i < 500; i++) {
    if (holds()) return true;
    usleep(10000);
  }
  return false;
}

}  // namespace accounting

#endif
