// SPDX-License-Identifier: MIT
// The store of a mount of morselfs: an entry is the file itself.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>

#include "directory.h"
#include "mapping.h"
#include "object.h"
#include "store.h"

namespace morsel {

namespace {

constexpr const char* attributes_name = "user.morsel";

// Before the mode is set, which may forbid it.
Status write_attributes(int fd, const std::string& text) {
  if (text == "{}") return Done{};
  if (fsetxattr(fd, attributes_name, text.data(), text.size(), 0) != 0)
    return system_error("writing down what is known of an object");
  return Done{};
}

std::string read_attributes(int fd) {
  std::string text(size_t(64) << 10, 0);
  const ssize_t length = fgetxattr(fd, attributes_name, text.data(), text.size());
  text.resize(length < 0 ? 0 : size_t(length));
  return text;
}

// FNV-1a; cut to what an offset can be.
off_t place_of(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return off_t(hash >> 2);
}

// What is no object of this library is used by nobody.
bool is_used(Descriptor file) {
  auto object = adopt(std::move(file));
  if (!object) return false;
  auto used = in_use(**object);
  return used && *used;
}

class MountStore final : public Store {
 public:
  MountStore(std::string mount, uid_t user)
      : Store(mount + "/.morsel/" + std::to_string(user), user == geteuid()),
        mount_(std::move(mount)),
        user_(user) {}

  [[nodiscard]] Result<Opened> open(const std::string& name, morsel_access access) override {
    auto objects = find("objects");
    if (!objects) return objects.error();
    auto file = open_file(objects->get(), name, access);
    if (!file) return file.error();
    return Opened{std::move(*file)};
  }

  [[nodiscard]] Opened open_at_once(const std::string& name) override {
    auto opened = open(name, MORSEL_READ);
    return opened ? std::move(*opened) : Opened{};
  }

  [[nodiscard]] Status publish(const Publication& object) override {
    auto objects = make("objects");
    if (!objects) return objects.error();
    if (Status status = write_attributes(object.fd, object.attributes); !status) return status;
    if (fchmod(object.fd, object.mode) != 0) return system_error("the object's mode");
    // Not by a passing name and rename(2): who is killed in between would leave it.
    if (object.replace) unlinkat(objects->get(), object.name.c_str(), 0);
    const std::string file = "/proc/self/fd/" + std::to_string(object.fd);
    const char* name = object.name.c_str();
    if (linkat(AT_FDCWD, file.c_str(), objects->get(), name, AT_SYMLINK_FOLLOW) == 0) return Done{};
    if (errno == EEXIST) return Error{-EEXIST, "an object of that name is there already"};
    return system_error("naming an object in " + directory);
  }

  [[nodiscard]] Status remove(const std::string& name, bool if_unused) override {
    auto objects = find("objects");
    if (!objects) return objects.error();
    if (if_unused) {
      auto file = open_file(objects->get(), name, MORSEL_READ);
      if (!file) return file.error();
      if (is_used(std::move(*file))) return Error{-EBUSY, "the object is in use"};
    }
    if (unlinkat(objects->get(), name.c_str(), 0) != 0)
      return system_error("removing an object from " + directory);
    return Done{};
  }

  [[nodiscard]] Result<std::vector<Entry>> list(const std::string& prefix) override {
    std::vector<Entry> entries;
    auto objects = find("objects");
    if (!objects && objects.error().code == -ENOENT) return entries;
    if (!objects) return objects.error();
    auto names = names_in(objects->get());
    if (!names) return names.error();
    std::sort(names->begin(), names->end());
    for (const std::string& name : *names) {
      if (!name.starts_with(prefix)) continue;
      auto file = open_file(objects->get(), name, MORSEL_READ);
      struct stat st;
      if (!file || fstat(file->get(), &st) != 0) continue;
      entries.push_back({name, MORSEL_MORSELFS, uint64_t(st.st_size), st.st_mode & 07777U,
                         st.st_uid, st.st_gid, read_attributes(file->get()), false,
                         st.st_atim.tv_sec * 1'000'000'000 + st.st_atim.tv_nsec});
      entries.back().in_use = is_used(std::move(*file));
    }
    return entries;
  }

  // A lock on one byte of a file, which the kernel takes back whatever happens to us. Two names of
  // the same byte would only wait for each other.
  [[nodiscard]] Result<Claim> begin(const std::string& name, bool wait) override {
    auto where = make("");
    if (!where) return where.error();
    Descriptor file(
        openat(where->get(), "loading", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return system_error(directory + "/loading");
    struct flock byte {};
    byte.l_type = F_WRLCK;
    byte.l_whence = SEEK_SET;
    byte.l_start = place_of(name);
    byte.l_len = 1;
    if (fcntl(file.get(), wait ? F_OFD_SETLKW : F_OFD_SETLK, &byte) == 0)
      return Claim{Claim::State::mine, 0, std::move(file)};
    if (errno == EAGAIN || errno == EACCES) return Claim{Claim::State::others, 0, {}};
    return system_error("locking " + directory + "/loading");
  }

 private:
  // A subdirectory of the store, or itself.
  Result<Descriptor> find(const std::string& name) const {
    return descend(name, [](int at, const std::string& each, mode_t, Writers writers) {
      return open_directory(at, each, writers);
    });
  }
  Result<Descriptor> make(const std::string& name) const { return descend(name, make_directory); }

  template <typename Step>
  Result<Descriptor> descend(const std::string& name, Step&& step) const {
    auto top = step(AT_FDCWD, mount_ + "/.morsel", 01777, Writers::sticky);
    if (!top) return top;
    auto store = step(top->get(), std::to_string(user_), 0755, Writers::owner);
    if (!store || name.empty()) return store;
    return step(store->get(), name, 0755, Writers::owner);
  }

  Result<Descriptor> open_file(int objects, const std::string& name, morsel_access access) const {
    const int rights = access == MORSEL_READ ? O_RDONLY : O_RDWR;
    Descriptor file(openat(objects, name.c_str(), rights | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat st;
    if (!file) return system_error("an object in " + directory);
    if (fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode))
      return Error{-ENOENT, "what has an object's name in " + directory + " is no file"};
    return file;
  }

  const std::string mount_;
  const uid_t user_;
};

}  // namespace

std::unique_ptr<Store> mount_store(const std::string& mount, uid_t user) {
  return std::make_unique<MountStore>(mount, user);
}

}  // namespace morsel
