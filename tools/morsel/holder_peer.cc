// SPDX-License-Identifier: MIT
#include "holder_peer.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace morsel::holder {

Result<Peer> Peer::of(int socket) {
  ucred user{};
  socklen_t length = sizeof user;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &user, &length) != 0)
    return system_error("SO_PEERCRED");
  std::vector<gid_t> groups(64);
  for (;;) {
    length = socklen_t(groups.size() * sizeof groups[0]);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) == 0) break;
    if (errno != ERANGE) return system_error("SO_PEERGROUPS");
    groups.resize(length / sizeof groups[0]);
  }
  groups.resize(length / sizeof groups[0]);
  groups.push_back(user.gid);
  return Peer{user.pid, user.uid, std::move(groups)};
}

bool Peer::manages() const { return uid == 0 || uid == geteuid(); }

bool Peer::may_open(const struct stat& file, bool write) const {
  if (uid == 0) return true;
  const bool member = std::find(groups.begin(), groups.end(), file.st_gid) != groups.end();
  const unsigned shift = uid == file.st_uid ? 6 : member ? 3 : 0;
  const unsigned wanted = write ? 06 : 04;
  return ((file.st_mode >> shift) & wanted) == wanted;
}

}  // namespace morsel::holder
