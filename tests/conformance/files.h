// SPDX-License-Identifier: MIT
//
// What the file tests share: whole files as strings, a second mount, another user.
#ifndef MORSELS_TESTS_FILES_H
#define MORSELS_TESTS_FILES_H

#include <string>

#include <sys/mount.h>
#include <sys/statfs.h>

#include "../vm/memory.h"

inline int create(const char* name, mode_t mode = 0644) {
  return SYS(open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode));
}

inline void write_all(const char* name, const std::string& text) {
  int fd = SYS(open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  CHECK_EQ(write(fd, text.data(), text.size()), text.size());
  close(fd);
}

inline std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  ssize_t got;
  while ((got = SYS(pread(fd, buffer, sizeof buffer, off_t(text.size())))) > 0)
    text.append(buffer, size_t(got));
  return text;
}

inline std::string read_all(const char* name) {
  int fd = SYS(open(name, O_RDONLY | O_CLOEXEC));
  std::string text = read_all(fd);
  close(fd);
  return text;
}

#define CHECK_TEXT(seen, expected)                                                             \
  do {                                                                                         \
    const std::string &seen_ = (seen), &expected_ = (expected);                                \
    if (seen_ != expected_)                                                                    \
      FAIL("%s: expected \"%.60s\", seen \"%.60s\"", #seen, expected_.c_str(), seen_.c_str()); \
  } while (0)

inline struct stat status(const char* name) {
  struct stat st;
  SYS(lstat(name, &st));
  return st;
}
inline struct stat status(int fd) {
  struct stat st;
  SYS(fstat(fd, &st));
  return st;
}
inline bool exists(const char* name) {
  struct stat st;
  return lstat(name, &st) == 0;
}

// Runs it as user and group 65534, without capabilities.
template <class F>
void as_nobody(F&& body) {
  harness::in_child([&] {
    SYS(setresgid(65534, 65534, 65534));
    SYS(setresuid(65534, 65534, 65534));
    body();
  });
}

// Mounts another instance of the file system under test; 0 or an error.
inline int try_mount(const char* at, const std::string& options, unsigned long flags = 0) {
  if (mkdir(at, 0755) != 0) CHECK_EQ(errno, EEXIST);
  return mount("none", at, harness::file_system(), flags, options.c_str()) ? errno : 0;
}
// The same with the huge= of the mount under test, and it has to work.
inline void mount_with(const char* at, const std::string& options) {
  int error = try_mount(at, options + harness::huge_option());
  if (error == EPERM) SKIP("can't mount here");
  if (error) FAIL("mount with %s: expected success, seen %s", options.c_str(), strerror(error));
}

// The NUMA nodes with memory, as the kernel lists them ("0-1"); empty where there is no NUMA.
inline std::string memory_nodes() {
  int fd = open("/sys/devices/system/node/has_memory", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string nodes = read_all(fd);
  close(fd);
  while (!nodes.empty() && nodes.back() == '\n') nodes.pop_back();
  return nodes;
}

inline struct statfs space(const char* at) {
  struct statfs s;
  SYS(statfs(at, &s));
  return s;
}

#endif
