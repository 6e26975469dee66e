// SPDX-License-Identifier: MIT
#include "holder_link.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "directory.h"

namespace morsel {

namespace {

constexpr dev_t devices = 1'000'000'000;

bool leads_to(const struct stat& link, const struct stat& file) {
  return S_ISLNK(link.st_mode) && S_ISREG(file.st_mode) &&
         ino_t(link.st_mtim.tv_sec) == file.st_ino &&
         dev_t(link.st_mtim.tv_nsec) == file.st_dev % devices;
}

bool holder_runs(int lock) {
  struct flock held {};
  held.l_type = F_RDLCK;
  held.l_whence = SEEK_SET;
  return fcntl(lock, F_OFD_GETLK, &held) == 0 && held.l_type == F_WRLCK;
}

}  // namespace

Status show_that_it_runs(int lock) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (fcntl(lock, F_OFD_SETLK, &whole) != 0) return system_error("locking the lock file");
  return Done{};
}

void mark_link(int links, const std::string& name, int fd) {
  struct stat file;
  if (fstat(fd, &file) != 0) return;
  const timespec times[2] = {{0, UTIME_OMIT}, {time_t(file.st_ino), long(file.st_dev % devices)}};
  utimensat(links, name.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

Descriptor open_by_link(const std::string& directory, const std::string& name) {
  auto where = open_directory(AT_FDCWD, directory);
  if (!where) return {};
  const Descriptor lock(
      openat(where->get(), "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  // Both before and after: what is opened in between is the running holder's. It would have to die,
  // its number to go round, and another holder to start meanwhile.
  if (!lock || !holder_runs(lock.get())) return {};
  const std::string path = "objects/" + name;
  struct stat link, state;
  if (fstatat(where->get(), path.c_str(), &link, AT_SYMLINK_NOFOLLOW) != 0) return {};
  Descriptor file(openat(where->get(), path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file || fstat(file.get(), &state) != 0 || !leads_to(link, state)) return {};
  return holder_runs(lock.get()) ? std::move(file) : Descriptor();
}

}  // namespace morsel
