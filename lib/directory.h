// SPDX-License-Identifier: MIT
// Directories of which we know who can change what is in them.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "descriptor.h"
#include "result.h"

namespace morsel {

enum class Writers {
  owner,   /// nobody else may write to it
  sticky,  /// everybody may, but each only takes away what is his
};

/// Opens a directory that belongs to this user or root, is no symbolic link, and has these writers.
/// -ENOENT: there is none; -EPERM: it can't be trusted. `at` may be AT_FDCWD.
Result<Descriptor> open_directory(int at, const std::string& name,
                                  Writers writers = Writers::owner);

/// The same, and makes it with this mode (whatever the umask) if there is none. Its parent must be
/// there.
Result<Descriptor> make_directory(int at, const std::string& name, mode_t mode,
                                  Writers writers = Writers::owner);

/// What is in it, without "." and ".."; in no order.
Result<std::vector<std::string>> names_in(int directory);

}  // namespace morsel
