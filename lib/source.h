// SPDX-License-Identifier: MIT
// A file that is, or is to be, in the cache.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "descriptor.h"
#include "result.h"

namespace morsel {

/// The name of the entry of a file in this state: "file-DEV-INO-SIZE-MTIME".
std::string entry_of(const struct stat& state);
/// The part of it that stays when the file is changed, "file-DEV-INO-".
std::string entry_prefix_of(const struct stat& state);
/// The modification time, in nanoseconds.
int64_t mtime_of(const struct stat& state);

class Source {
 public:
  /// -EINVAL: it is no regular file, or empty.
  static Result<Source> open(const std::string& path);

  /// Absolute, without symbolic links.
  [[nodiscard]] const std::string& path() const { return path_; }
  /// As it was when it was opened.
  [[nodiscard]] const struct stat& state() const { return state_; }
  [[nodiscard]] uint64_t bytes() const { return uint64_t(state_.st_size); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::string entry() const { return entry_of(state_); }

  /// -ESTALE: size or time are others by now.
  [[nodiscard]] Status unchanged() const;
  /// Waits until the time of last modification is so long ago that one more would be seen. Clocks
  /// of file systems tick slowly.
  void settle() const;

 private:
  Source(std::string path, Descriptor fd, const struct stat& state)
      : path_(std::move(path)), fd_(std::move(fd)), state_(state) {}

  std::string path_;
  Descriptor fd_;
  struct stat state_;
};

/// Who may read a copy of the file: nobody who may not read the file itself.
struct Rights {
  uid_t uid;
  gid_t gid;
  unsigned mode;
};
Rights rights_for_copy(const Source& source);

}  // namespace morsel
