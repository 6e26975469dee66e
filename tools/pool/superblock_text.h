// SPDX-License-Identifier: MIT
// Reading superblocks, with errors for people.
#pragma once

#include <string>

#include "core/pool/superblock.h"
#include "image.h"

namespace morsel::pool {

/// The superblock that counts; from then on the image is as large as the pool. `whole` says how
/// many of the two copies are whole.
Result<Superblock> read_pool(Image& image, unsigned& whole);

std::string label_of(const Superblock& sb);
const char* phase_name(Phase phase);

}  // namespace morsel::pool
