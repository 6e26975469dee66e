// SPDX-License-Identifier: MIT
// Work on a range of bytes, shared by as many threads as there are processors.
#pragma once

#include <cstdint>
#include <functional>

#include "result.h"

namespace morsel {

/// The work on one piece; called from several threads at once.
using Work = std::function<Status(uint64_t at, uint64_t length)>;
/// Called from the calling thread; `false` ends the work with -ECANCELED.
using Watch = std::function<bool(uint64_t done)>;

/// Cuts [from, to) into pieces of `piece` bytes (the first begins at `from`) and has each worked on
/// once, roughly in their order. The first error ends it all and is returned.
Status in_pieces(uint64_t from, uint64_t to, uint64_t piece, const Work& work,
                 const Watch& watch = {});

}  // namespace morsel
