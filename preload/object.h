// SPDX-License-Identifier: MIT
//
// Finding the object that holds a file's contents, and making sure that it does.
#pragma once

#include <sys/stat.h>

namespace morsel::preload {

enum class Kind { hugetlb, memfd, morselfs };

const char* name_of(Kind kind);

struct Object {
  int fd = -1;  // open for reading only, with flock(LOCK_SH); -1: there is none
  Kind kind = Kind::memfd;
  const char* why_not = nullptr;
};

/// False: the descriptor is of nothing that objects are made of.
bool find_kind(int fd, Kind& kind);

constexpr long nanoseconds(const timespec& time) {
  return time.tv_sec * 1'000'000'000L + time.tv_nsec;
}

/// The caller closes the descriptor. `source` is what fstat said of the file.
Object find_object(const struct stat& source);

}  // namespace morsel::preload
