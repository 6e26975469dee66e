// SPDX-License-Identifier: MIT
// Models in several files: model-00001-of-00003.gguf and so on.
#pragma once

#include <string>
#include <vector>

namespace morsel {

/// All files of the model that this path is of, in order; itself alone, if its name is none of
/// these.
std::vector<std::string> shards_of(const std::string& path);

}  // namespace morsel
