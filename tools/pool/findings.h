// SPDX-License-Identifier: MIT
// Findings in words.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "walker.h"

namespace morsel::pool {

/// What was done, or in a run that only looks, would be.
enum class Outcome { left, mended, repaired };

struct Words {
  const char* id;      ///< as in the enumeration
  const char* what;    ///< is wrong
  const char* repair;  ///< what a mount (leftovers) or a repair (damage) does, and what is lost
};

Words words_for(const Found& found);

/// "/a/b", or "inode 17" for what has no name.
std::string subject(const Found& found, const PoolWalker& walker);

/// A line for people. `would`: nothing was really written.
std::string line_for(const Found& found, const PoolWalker& walker, Outcome outcome, bool would);

nlohmann::json to_json(const Found& found, const PoolWalker& walker, Outcome outcome);

}  // namespace morsel::pool
