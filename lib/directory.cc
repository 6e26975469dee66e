// SPDX-License-Identifier: MIT
#include "directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

namespace morsel {

Result<Descriptor> open_directory(int at, const std::string& name, Writers writers) {
  Descriptor directory(
      openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!directory && (errno == ELOOP || errno == ENOTDIR))
    return Error{-EPERM, name + " is not a directory of its own, so it is not trusted"};
  if (!directory) return system_error(name);
  struct stat st;
  if (fstat(directory.get(), &st) != 0) return system_error(name);
  if (st.st_uid != geteuid() && st.st_uid != 0)
    return Error{-EPERM, name + " belongs to user " + std::to_string(st.st_uid) +
                             ", so it is not trusted; remove it if it is in your way"};
  const bool safe = (st.st_mode & 022) == 0 || (writers == Writers::sticky && st.st_mode & S_ISVTX);
  if (!safe)
    return Error{-EPERM, name +
                             " may be written to by others, so it is not trusted; `chmod go-w` "
                             "mends that"};
  return directory;
}

Result<Descriptor> make_directory(int at, const std::string& name, mode_t mode, Writers writers) {
  if (mkdirat(at, name.c_str(), mode & 0700) == 0) {
    auto made = open_directory(at, name, writers);
    if (made && fchmod(made->get(), mode) != 0) return system_error("the mode of " + name);
    return made;
  }
  if (errno != EEXIST) return system_error("making the directory " + name);
  return open_directory(at, name, writers);
}

Result<std::vector<std::string>> names_in(int directory) {
  // fdopendir takes the descriptor, and its position is shared: one of our own.
  Descriptor own(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) return system_error("opening a directory");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(own.get()), closedir);
  if (!stream) return system_error("reading a directory");
  own.release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* each = readdir(stream.get());
    if (!each && errno != 0) return system_error("reading a directory");
    if (!each) return names;
    std::string name = each->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
}

}  // namespace morsel
