// SPDX-License-Identifier: MIT
//
// What `morsel run` says by environment variables.
#pragma once

#include <algorithm>
#include <string_view>

namespace morsel::preload {

struct Settings {
  std::string_view stores;  // MORSEL_STORES: directories, ':' between
  bool verbose = false;     // MORSEL_VERBOSE=1: a line on stderr per decision
  // MORSEL_HOLDERS_RAN: milliseconds of CLOCK_MONOTONIC; all holders of `stores` were seen to run
  long holders_ran = -1;
};

/// Without stores until the library's constructor has run.
const Settings& settings();

/// Their links lead to themselves, then: it takes a while until a dead process's number is another
/// one's.
bool holders_ran_just_now();

/// Reads the environment. For the constructor: the program may change its environment later on.
void read_settings();

/// Calls `visit` with each store until it returns true.
template <typename Visit>
void for_each_store(Visit visit) {
  for (std::string_view rest = settings().stores; !rest.empty();) {
    const std::string_view store(rest.data(), std::min(rest.find(':'), rest.size()));
    if (!store.empty() && visit(store)) return;
    rest.remove_prefix(std::min(store.size() + 1, rest.size()));
  }
}

}  // namespace morsel::preload
