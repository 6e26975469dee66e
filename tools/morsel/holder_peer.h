// SPDX-License-Identifier: MIT
// Who is at the other end, as the kernel says, and what he may do.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <vector>

#include "result.h"

namespace morsel::holder {

struct Peer {
  pid_t pid;
  uid_t uid;
  std::vector<gid_t> groups;

  static Result<Peer> of(int socket);

  /// The holder's own user, and root.
  [[nodiscard]] bool manages() const;
  /// As for a file.
  [[nodiscard]] bool may_open(const struct stat& file, bool write) const;
};

}  // namespace morsel::holder
