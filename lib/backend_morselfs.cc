// SPDX-License-Identifier: MIT
// Objects that are files on a mount of morselfs.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <vector>

#include "../uapi/morselfs.h"
#include "backend.h"
#include "error.h"
#include "mounts.h"

namespace morsel {

namespace {

// Where a file without a name may be made. Users may seldom write to the top of a mount, but
// always to the folder of stores.
Result<std::vector<std::string>> folders(const std::string& directory) {
  if (!directory.empty()) {
    if (!is_on_morselfs(directory)) return Error{-EINVAL, directory + " is not on a morselfs"};
    return std::vector{directory};
  }
  std::vector<std::string> found, mounts = morselfs_mounts();
  if (mounts.empty())
    return Error{-EOPNOTSUPP, "no morselfs is mounted; `morsel setup`, as root, does that"};
  for (const std::string& mount : mounts)
    for (const std::string& folder : {mount, mount + "/.morsel"})
      if (access(folder.c_str(), W_OK | X_OK) == 0) found.push_back(folder);
  if (found.empty())
    return Error{-EACCES, mounts.front() +
                              " is a morselfs, but this user may not write to it; "
                              "`morsel setup`, as root, mends that"};
  return found;
}

Result<morselfs_info> information(int fd) {
  morselfs_info info{};
  info.size = sizeof info;
  if (ioctl(fd, MORSELFS_IOC_INFO, &info) != 0) return system_error("MORSELFS_IOC_INFO");
  return info;
}

// Of an ioctl about large pages.
Error refusal(const std::string& what) {
  if (errno == ENOTTY)
    return Error{-EOPNOTSUPP, what + ": the module is older than the library, and can't do that"};
  if (errno == EOPNOTSUPP)
    return Error{-EOPNOTSUPP, what + ": this mount can't do that; a pool has 4-KiB pages only"};
  if (errno == EPERM) return Error{-EPERM, what + ": only the object's owner may do that"};
  return system_error(what);
}

class Morselfs final : public Backend {
 public:
  constexpr Morselfs() : Backend(MORSEL_MORSELFS, "morselfs") {}

  [[nodiscard]] Status probe(uint64_t bytes, const std::string& directory) const override {
    auto where = folders(directory);
    if (!where) return where.error();
    struct statfs fs;
    if (statfs(where->front().c_str(), &fs) != 0) return system_error(where->front());
    uint64_t room = uint64_t(fs.f_bavail) * uint64_t(fs.f_bsize);
    if (room < bytes)
      return Error{-ENOSPC, "only " + amount(room) + " are free on " + where->front()};
    return Done{};
  }

  [[nodiscard]] Result<Descriptor> create(uint64_t bytes,
                                          const std::string& directory) const override {
    auto where = folders(directory);
    if (!where) return where.error();
    Error last{-EACCES, {}};
    for (const std::string& folder : *where) {
      Descriptor file(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
      if (!file) {
        last = system_error("a file in " + folder);
        continue;
      }
      // Without the umask.
      if (fchmod(file.get(), 0600) != 0) return system_error("the mode of a file in " + folder);
      if (Status status = resize(file.get(), 0, bytes); !status)
        return Error{status.error().code, folder + ": " + status.error().text};
      return file;
    }
    return last;
  }

  [[nodiscard]] bool recognises(int, const struct statfs& fs) const override {
    return fs.f_type == MORSELFS_SUPER_MAGIC;
  }

  [[nodiscard]] Status seal(int fd) const override {
    if (ioctl(fd, MORSELFS_IOC_SEAL) == 0) return Done{};
    if (errno == EBUSY)
      return Error{-EBUSY,
                   "somebody has the object mapped for writing, or a device or the kernel "
                   "holds pages of it"};
    if (errno == ENOTTY)
      return Error{-EOPNOTSUPP, "this morselfs can't seal: its module is older than the library"};
    return system_error("sealing");
  }

  [[nodiscard]] bool is_sealed(int fd) const override {
    auto info = information(fd);
    return info && (info->flags & MORSELFS_INFO_SEALED);
  }

  void touch(const std::byte* at, uint64_t bytes) const override {
    touch_each(at, bytes, slot_for(bytes));
  }

  [[nodiscard]] Status statistics(int fd, morsel_statistics& out) const override {
    auto info = information(fd);
    if (!info) return info.error();
    out.resident = info->leaves_4k * 4096 + info->leaves_2m * pmd_slot + info->waste_bytes;
    out.huge = info->leaves_2m * pmd_slot;
    out.table_bytes = info->table_bytes;
    out.mappings = info->mappings;
    out.promoted = info->promoted;
    out.demoted = info->demoted;
    out.promote_failed = info->promote_failed;
    out.waste = info->waste_bytes;
    out.huge_policy = info->huge;
    return Done{};
  }

  [[nodiscard]] Status set_huge(int fd, morsel_huge policy) const override {
    static_assert(MORSEL_HUGE_MOUNT == MORSELFS_HUGE_MOUNT &&
                  MORSEL_HUGE_NEVER == MORSELFS_HUGE_NEVER &&
                  MORSEL_HUGE_WITHIN_SIZE == MORSELFS_HUGE_WITHIN_SIZE &&
                  MORSEL_HUGE_ALWAYS == MORSELFS_HUGE_ALWAYS);
    __u32 value = policy;
    if (ioctl(fd, MORSELFS_IOC_HUGE, &value) == 0) return Done{};
    return refusal("setting the policy for large pages");
  }

  [[nodiscard]] Result<morsel_moved> move(int fd, Move how, uint64_t offset,
                                          uint64_t bytes) const override {
    morselfs_range range{};
    range.size = sizeof range;
    range.start = offset;
    range.length = bytes;
    const bool promote = how == Move::promote;
    if (ioctl(fd, promote ? MORSELFS_IOC_PROMOTE : MORSELFS_IOC_DEMOTE, &range) != 0)
      return refusal(promote ? "moving it into large pages" : "moving it into small pages");
    return morsel_moved{sizeof(morsel_moved), range.done_bytes, range.busy_bytes,
                        range.lacking_bytes};
  }

  [[nodiscard]] Result<Descriptor> export_part(int fd, uint64_t offset, uint64_t bytes,
                                               morsel_access access) const override {
    morselfs_export part{};
    part.size = sizeof part;
    part.flags = access == MORSEL_READ ? MORSELFS_EXPORT_READ_ONLY : 0;
    part.start = offset;
    part.length = bytes;
    if (ioctl(fd, MORSELFS_IOC_EXPORT, &part) == 0) return Descriptor(part.fd);
    if (errno == ENOTTY)
      return Error{-EOPNOTSUPP,
                   "this morselfs exports nothing: its module is older than the library"};
    if (errno == EOPNOTSUPP)
      return Error{-EOPNOTSUPP, access == MORSEL_READ
                                    ? "this kernel has no dma-bufs"
                                    : "devices may not write to a pool: export it for reading"};
    if (errno == EINVAL)
      return Error{-EINVAL, "bytes " + std::to_string(offset) + " to " +
                                (bytes == 0 ? "the end" : std::to_string(offset + bytes)) +
                                " are no part of the object that begins with a 4-KiB page"};
    if (errno == EPERM)
      return Error{-EPERM,
                   "the object is immutable or append-only: devices may read it, not write to it"};
    return system_error("exporting");
  }

 protected:
  // The size is set by now, so the kernel can take large leaves.
  [[nodiscard]] Status allocate(int fd, uint64_t from, uint64_t to) const override {
    if (fallocate(fd, 0, off_t(from), off_t(to - from)) != 0)
      return system_error("allocating " + amount(to - from));
    return Done{};
  }
};

const Morselfs instance;

}  // namespace

const Backend& morselfs_backend = instance;

}  // namespace morsel
