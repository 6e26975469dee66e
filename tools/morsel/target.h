// SPDX-License-Identifier: MIT
// Objects that a user names and a command works on: files on a morselfs, and what is in the cache.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "backend.h"
#include "command.h"
#include "descriptor.h"
#include "result.h"

namespace morsel::tool {

struct Target {
  std::string name;
  Descriptor file;
  const Backend* backend;
  nlohmann::json shown;  /// what --json has of it
};

/// The regular file on a morselfs at this path, open for writing where that is allowed, else for
/// reading. -EINVAL: there is none.
Result<Target> file_on_morselfs(const std::string& path);

/// That, or else what goes by a path or a name in the cache. What can't be had is told to the user.
std::vector<Target> targets(const std::string& what, Context& context);

}  // namespace morsel::tool
