// SPDX-License-Identifier: MIT
// The holder as a process: its start, its life, its end.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "result.h"

namespace morsel::holder {

/// Runs a holder in this process until it is time to end; calls `ready` once it listens. -EBUSY:
/// there is one already.
Status run(const std::string& directory, std::chrono::milliseconds idle_limit,
           const std::function<void()>& ready);

/// The same in a child in the background, which keeps nothing of this process. Returns when that
/// listens, or another one has the directory.
Status run_in_background(const std::string& directory, std::chrono::milliseconds idle_limit);

}  // namespace morsel::holder
