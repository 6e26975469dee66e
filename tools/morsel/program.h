// SPDX-License-Identifier: MIT
// Programs: where they are, and whether the dynamic linker would load a library before them.
#pragma once

#include <optional>
#include <string>

#include "result.h"

namespace morsel::tool {

/// The file that execvp would run. -ENOENT: there is none; -EACCES: it can't be run.
Result<std::string> find_program(const std::string& name);

/// Why LD_PRELOAD would do nothing for this file, or worse; nothing if it works. Scripts are what
/// their interpreters are.
std::optional<std::string> why_not_preloadable(const std::string& path);

}  // namespace morsel::tool
