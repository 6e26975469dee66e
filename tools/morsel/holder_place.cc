// SPDX-License-Identifier: MIT
#include "holder_place.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "directory.h"
#include "holder_link.h"

namespace morsel::holder {

namespace {

// Root's objects are for other users, too; whom it concerns decides each object's mode.
mode_t mode_of_directories() { return geteuid() == 0 ? 0755 : 0700; }

// Whatever it is. Not what is in a directory: no holder makes one.
bool remove_entry(int directory, const std::string& name) {
  return unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT ||
         unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0;
}

bool is_own(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && st.st_uid == geteuid();
}

}  // namespace

Result<Place> Place::take(const std::string& path) {
  auto directory = make_directory(AT_FDCWD, path, mode_of_directories());
  if (!directory) return directory.error();
  if (!is_own(directory->get()))
    return Error{-EPERM, path + " is root's: this user can have no holder there"};
  Descriptor lock(openat(directory->get(), "lock",
                         O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!lock) return system_error(path + "/lock");
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return Error{-EBUSY, "a holder runs in " + path + " already"};
    return system_error("locking " + path + "/lock");
  }
  return Place(path, std::move(*directory), std::move(lock));
}

Result<std::vector<std::string>> Place::leftovers(const std::string& path) {
  std::vector<std::string> found;
  auto directory = open_directory(AT_FDCWD, path);
  if (!directory && directory.error().code == -ENOENT) return found;
  if (!directory) return directory.error();
  const Descriptor lock(
      openat(directory->get(), "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (lock && flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) return found;
  struct stat st;
  if (fstatat(directory->get(), "socket", &st, AT_SYMLINK_NOFOLLOW) == 0)
    found.emplace_back("socket");
  if (fstatat(directory->get(), "objects", &st, AT_SYMLINK_NOFOLLOW) != 0) return found;
  auto links = open_directory(directory->get(), "objects");
  if (!links) {
    found.emplace_back("objects");
    return found;
  }
  auto names = names_in(links->get());
  if (!names) return names.error();
  for (const std::string& name : *names) found.push_back("objects/" + name);
  return found;
}

Status Place::sweep() const {
  auto stays = [&](const std::string& what) {
    return system_error("removing " + path_ + "/" + what +
                        ", which no holder made; please look at it");
  };
  if (!remove_entry(directory_.get(), "socket")) return stays("socket");
  auto links = open_directory(directory_.get(), "objects");
  if (!links && links.error().code == -ENOENT) return Done{};
  if (!links) return remove_entry(directory_.get(), "objects") ? Status(Done{}) : stays("objects");
  auto names = names_in(links->get());
  if (!names) return names.error();
  for (const std::string& name : *names)
    if (!remove_entry(links->get(), name)) return stays("objects/" + name);
  return Done{};
}

Result<Descriptor> Place::links() const {
  return make_directory(directory_.get(), "objects", mode_of_directories());
}

Status Place::show_that_it_runs() const { return morsel::show_that_it_runs(lock_.get()); }

Result<Descriptor> Place::listen() const {
  Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return system_error("a socket");
  // By /proc, as an address has room for 107 bytes only.
  sockaddr_un address{AF_UNIX, {}};
  const std::string name = "/proc/self/fd/" + std::to_string(directory_.get()) + "/socket";
  memcpy(address.sun_path, name.c_str(), name.size() + 1);
  if (bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      fchmodat(directory_.get(), "socket", 0666, 0) != 0 || ::listen(socket.get(), 128) != 0)
    return system_error("listening at " + path_ + "/socket");
  return socket;
}

Descriptor Place::watch() const {
  Descriptor events(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  const std::string self = "/proc/self/fd/" + std::to_string(directory_.get());
  if (!events || inotify_add_watch(events.get(), self.c_str(), IN_DELETE | IN_MOVED_FROM) < 0)
    return {};
  return events;
}

bool Place::can_be_found() const {
  struct stat st;
  return fstatat(directory_.get(), "socket", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void Place::leave() const { unlinkat(directory_.get(), "socket", 0); }

}  // namespace morsel::holder
