// SPDX-License-Identifier: MIT
// Which version of what is here.
#pragma once

#include <string>

namespace morsel::tool {

/// Three lines: this command, the library that programs of this machine load, the loaded module.
std::string version_text();

}  // namespace morsel::tool
