// SPDX-License-Identifier: MIT
#include "object.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <morselfs.h>
#include <sys/file.h>
#include <sys/vfs.h>

#include <cerrno>

#include "holder.h"
#include "opened.h"
#include "range.h"
#include "settings.h"
#include "syscall.h"
#include "text.h"

namespace morsel::preload {
namespace {

using Path = Text<1024>;

constexpr const char* not_cached = "it is not in the cache";
constexpr const char* stale = "the cache holds another version of it";
constexpr const char* no_right = "no right to open what the cache holds";

/// All names of this file begin so, whatever its version.
ObjectName name_of_any_version(const struct stat& source) {
  ObjectName name;
  name << "file-";
  name.hex(source.st_dev) << "-";
  name.hex(source.st_ino) << "-";
  return name;
}

ObjectName name_of_version(const struct stat& source) {
  ObjectName name = name_of_any_version(source);
  name.decimal(source.st_size) << "-";
  name.decimal(nanoseconds(source.st_mtim));
  return name;
}

/// Owners other than these could have put anything there.
bool trusted(uid_t owner, const struct stat& source) {
  return owner == 0 || owner == source.st_uid || owner == static_cast<uid_t>(call(SYS_geteuid));
}

bool sealed_memory(int fd) {
  const long all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  const long seals = call(SYS_fcntl, fd, F_GET_SEALS);
  return seals >= 0 && (seals & all) == all;
}

bool sealed_file(int fd) {
  morselfs_info info{};
  info.size = sizeof info;
  return call(SYS_ioctl, fd, MORSELFS_IOC_INFO, &info) == 0 && (info.flags & MORSELFS_INFO_SEALED);
}

/// NULL if `object` holds what `source` does and always will; else why not. A link to a process
/// that has ended can lead anywhere, so nothing is taken for granted.
const char* check(Object& object, const struct stat& source) {
  struct stat st {};
  if (call(SYS_fstat, object.fd, &st) != 0 || !S_ISREG(st.st_mode)) return not_cached;
  if (!trusted(st.st_uid, source)) return "its object in the cache belongs to somebody else";
  if (!find_kind(object.fd, object.kind)) return "its object in the cache is of an unknown kind";
  if (!(object.kind == Kind::morselfs ? sealed_file(object.fd) : sealed_memory(object.fd)))
    return "its object in the cache is not sealed";
  auto size = static_cast<uintptr_t>(source.st_size);
  if (object.kind == Kind::hugetlb) size = round_up(size, huge_page);
  if (static_cast<uintptr_t>(st.st_size) != size ||
      nanoseconds(st.st_mtim) != nanoseconds(source.st_mtim))
    return "its object in the cache is not of this version";
  return nullptr;
}

/// Takes the lock that says that the object is in use, and moves the time of its last use. The
/// mapping keeps the open file description, and so the lock: the descriptor can be closed.
void mark_in_use(const Object& object) {
  // Who holds the exclusive lock for longer than a look is throwing the object out, which harms
  // no mapping, or wants to block us.
  const timespec moment{0, 1'000'000};
  for (int tries = 0; call(SYS_flock, object.fd, LOCK_SH | LOCK_NB) != 0 && tries < 20; ++tries)
    call(SYS_nanosleep, &moment, nullptr);
  if (object.kind == Kind::morselfs) {  // mmap alone would not do on a mount with relatime
    const timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    call(SYS_utimensat, object.fd, nullptr, times, 0);
  }
}

bool is_there(const Path& path, int flags, struct stat& st) {
  return call(SYS_newfstatat, AT_FDCWD, path.c_str(), &st, flags) == 0;
}

/// Only files are opened: a stale link may lead to a device, for which that can mean something.
/// Should it be one by now, it neither blocks nor becomes our terminal.
long open_entry(std::string_view store, std::string_view name) {
  Path path;
  path << store << "/objects/" << name;
  if (!path.fits()) return -ENAMETOOLONG;
  struct stat st {};
  // To look costs as much as to open.
  const bool look = !holders_ran_just_now();
  if (look && is_there(path, 0, st) && !S_ISREG(st.st_mode)) return -ENOENT;
  long fd = call(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  // Or the other user's process is hidden in /proc.
  if (fd == -ENOENT && is_there(path, AT_SYMLINK_NOFOLLOW, st)) fd = -EACCES;
  // The link leads to a descriptor of another user's process: only that can hand it out.
  return fd == -EACCES ? open_at_holder(store, name) : fd;
}

bool holds_entry_with(std::string_view store, std::string_view prefix) {
  Path path;
  path << store << "/objects";
  const long fd = call(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  if (fd < 0) return false;
  bool found = false;
  alignas(dirent64) char buffer[4096];
  for (long size; !found && (size = call(SYS_getdents64, fd, buffer, sizeof buffer)) > 0;)
    for (long at = 0; at < size && !found;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      found = std::string_view(entry->d_name).starts_with(prefix);
      at += entry->d_reclen;
    }
  call(SYS_close, fd);
  return found;
}

}  // namespace

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::hugetlb:
      return "hugetlb";
    case Kind::memfd:
      return "memfd";
    case Kind::morselfs:
      return "morselfs";
  }
  return "";
}

bool find_kind(int fd, Kind& kind) {
  struct statfs fs {};
  if (call(SYS_fstatfs, fd, &fs) != 0) return false;
  const auto magic = static_cast<unsigned long>(fs.f_type);
  if (magic == HUGETLBFS_MAGIC && fs.f_bsize == static_cast<long>(huge_page))
    kind = Kind::hugetlb;
  else if (magic == TMPFS_MAGIC)
    kind = Kind::memfd;
  else if (magic == MORSELFS_SUPER_MAGIC)
    kind = Kind::morselfs;
  else
    return false;
  return true;
}

Object find_object(const struct stat& source) {
  Object object = find_opened(source);
  if (object.fd >= 0) return object;
  const ObjectName name = name_of_version(source);
  for_each_store([&](std::string_view store) {
    const long fd = open_entry(store, name.view());
    if (fd == -EACCES) object.why_not = no_right;
    if (fd < 0) return false;
    object.fd = static_cast<int>(fd);
    object.why_not = check(object, source);
    if (object.why_not) {
      call(SYS_close, object.fd);
      object.fd = -1;
      return false;
    }
    mark_in_use(object);
    return true;
  });
  if (object.fd >= 0 || object.why_not) return object;

  // Nobody hears the difference unless the shim is to talk: then it may cost a look around.
  object.why_not = not_cached;
  if (settings().verbose)
    for_each_store([&](std::string_view store) {
      if (!holds_entry_with(store, name_of_any_version(source).view())) return false;
      object.why_not = stale;
      return true;
    });
  return object;
}

}  // namespace morsel::preload
