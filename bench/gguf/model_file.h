// SPDX-License-Identifier: MIT
// Writes a model: a file of its own, or into an image of a file system where its place is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "layout.h"

namespace morsel::bench {

struct Target {
  std::string path;
  std::optional<uint64_t> offset;  ///< where to write in a file that exists already
};

/// A file of its own is written under another name, and renamed when it is complete: it is there
/// whole or not at all. Throws std::system_error.
void write_model(const Target& target, const Layout& layout, uint64_t seed, unsigned threads);

}  // namespace morsel::bench
