// SPDX-License-Identifier: MIT
#include "store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "mounts.h"

namespace morsel {

namespace {

bool is_absolute(const char* path) { return path && *path == '/'; }

// Only one, where a test has one of its own.
std::vector<std::string> holders() {
  std::vector<std::string> all{own_holder()};
  if (geteuid() != 0 && !is_absolute(secure_getenv("MORSEL_RUNTIME")))
    all.emplace_back("/run/morsel");
  return all;
}

std::string mount_of(int fd) {
  struct stat file, root;
  if (fstat(fd, &file) != 0) return {};
  for (const std::string& mount : morselfs_mounts())
    if (stat(mount.c_str(), &root) == 0 && root.st_dev == file.st_dev) return mount;
  return {};
}

// Whose objects are believed to be what their names say.
bool is_trusted(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid());
}

}  // namespace

std::string own_holder() {
  if (const char* said = secure_getenv("MORSEL_RUNTIME"); is_absolute(said)) return said;
  if (geteuid() == 0) return "/run/morsel";
  if (const char* said = secure_getenv("XDG_RUNTIME_DIR"); is_absolute(said))
    return said + std::string("/morsel");
  return "/tmp/morsel-" + std::to_string(geteuid());
}

Stores stores() {
  Stores all;
  for (const std::string& mount : morselfs_mounts()) {
    all.push_back(mount_store(mount, geteuid()));
    if (geteuid() != 0) all.push_back(mount_store(mount, 0));
  }
  const std::vector<std::string> directories = holders();
  for (const std::string& directory : directories)
    all.push_back(holder_store(directory, directory == directories.front()));
  return all;
}

Result<std::unique_ptr<Store>> store_for(morsel_backend backend, int fd) {
  if (backend != MORSEL_MORSELFS) return holder_store(own_holder(), true);
  std::string mount;
  if (fd >= 0) {
    mount = mount_of(fd);
  } else if (const auto mounts = morselfs_mounts(); !mounts.empty()) {
    // That on which an object would be made: see the backend.
    const auto usable = std::find_if(mounts.begin(), mounts.end(), [](const std::string& each) {
      return access(each.c_str(), W_OK) == 0 || access((each + "/.morsel").c_str(), W_OK) == 0;
    });
    mount = usable == mounts.end() ? mounts.front() : *usable;
  }
  if (mount.empty())
    return Error{-EOPNOTSUPP, "no morselfs is mounted; `morsel setup`, as root, does that"};
  return mount_store(mount, geteuid());
}

Status publish(const std::string& name, int fd, morsel_backend backend, uint64_t bytes,
               unsigned mode, const std::string& attributes) {
  auto store = store_for(backend, fd);
  if (!store) return store.error();
  // A name is taken if it is in any of this user's stores: who opens it gets the first.
  for (const auto& each : stores()) {
    if (!each->own || each->directory == (*store)->directory) continue;
    if (each->open(name, MORSEL_READ))
      return Error{-EEXIST, "an object of that name is there already, in " + each->directory};
  }
  return (*store)->publish({name, fd, backend, bytes, mode, attributes, false});
}

Result<Opened> open_named(const std::string& name, morsel_access access) {
  Error last{-ENOENT, "there is no such object"};
  for (const auto& store : stores()) {
    auto opened = store->open(name, access);
    if (opened && is_trusted(opened->file.get())) return opened;
    // What is somewhere but not for us says more than that nothing is elsewhere.
    if (!opened && opened.error().code != -ENOENT && last.code == -ENOENT) last = opened.error();
  }
  return last;
}

Status remove_named(const std::string& name) {
  Error last{-ENOENT, "there is no such object"};
  for (const auto& store : stores()) {
    if (!store->own) continue;
    Status status = store->remove(name, false);
    if (status) return status;
    if (status.error().code != -ENOENT) last = status.error();
  }
  if (last.code == -ENOENT && open_named(name, MORSEL_READ))
    return Error{-EACCES, "the object is root's"};
  return last;
}

}  // namespace morsel
