// SPDX-License-Identifier: MIT
// System calls that throw.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

namespace morsel::bench {

[[noreturn]] inline void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

template <typename T>
T checked(T result, const char* what) {
  if (result < 0) fail(what);
  return result;
}

inline std::span<std::byte> map_shared(int fd, uint64_t bytes, int prot) {
  void* at = ::mmap(nullptr, bytes, prot, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) fail("mmap");
  return {static_cast<std::byte*>(at), bytes};
}

}  // namespace morsel::bench
