// SPDX-License-Identifier: MIT
// Who may read a copy of a file. An object is found without walking through the file's directories,
// and has no access control list: so whoever these keep away is kept away by its mode.
#include <sys/xattr.h>

#include <cerrno>

#include "source.h"

namespace morsel {

namespace {

constexpr unsigned all_read = 0444, owner_reads = 0400, group_reads = 0440;

bool has_acl(int fd) { return fgetxattr(fd, "system.posix_acl_access", nullptr, 0) > 0; }

// Of whom the directories let through: all, the members of the file's group, or the owner alone.
unsigned reachable_by(const Source& source) {
  unsigned mode = all_read;
  for (std::string path = source.path(); path.size() > 1;) {
    const size_t slash = path.find_last_of('/');
    path.resize(slash == 0 ? 1 : slash);
    struct stat state;
    if (stat(path.c_str(), &state) != 0) return owner_reads;
    if (state.st_mode & S_IXOTH) continue;
    if (!(state.st_mode & S_IXGRP) || state.st_gid != source.state().st_gid) return owner_reads;
    mode = group_reads;
  }
  return mode;
}

}  // namespace

Rights rights_for_copy(const Source& source) {
  const struct stat& state = source.state();
  Rights rights{state.st_uid, state.st_gid, state.st_mode & all_read};
  rights.mode &= reachable_by(source);
  // Its mode's middle is the list's mask then.
  if (has_acl(source.fd())) rights.mode &= owner_reads;
  // Only root gives things away. What is for everybody can be anybody's.
  const uid_t self = geteuid();
  if (self != 0 && (state.st_uid != self || state.st_gid != getegid())) {
    rights.uid = self;
    rights.gid = getegid();
    if (rights.mode != all_read) rights.mode = owner_reads;
  }
  // Who loads it has read it.
  if (rights.uid == self) rights.mode |= owner_reads;
  return rights;
}

}  // namespace morsel
