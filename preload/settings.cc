// SPDX-License-Identifier: MIT
#include "settings.h"

#include <cstdlib>
#include <ctime>

#include "text.h"

namespace morsel::preload {
namespace {

constinit Text<8192> stores;
constinit Settings current;

}  // namespace

const Settings& settings() { return current; }

bool holders_ran_just_now() {
  constexpr long a_while = 10'000;
  if (current.holders_ran < 0) return false;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long passed = now.tv_sec * 1000 + now.tv_nsec / 1'000'000 - current.holders_ran;
  return passed >= 0 && passed < a_while;
}

void read_settings() {
  if (const char* list = getenv("MORSEL_STORES")) stores << list;
  if (stores.fits()) current.stores = stores.view();
  const char* verbose = getenv("MORSEL_VERBOSE");
  if (const char* ran = getenv("MORSEL_HOLDERS_RAN"))
    current.holders_ran = strtol(ran, nullptr, 10);
  current.verbose = verbose && std::string_view(verbose) == "1";
}

}  // namespace morsel::preload
