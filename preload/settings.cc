// SPDX-License-Identifier: MIT
#include "settings.h"

#include <cstdlib>

#include "text.h"

namespace morsel::preload {
namespace {

constinit Text<8192> stores;
constinit Settings current;

}  // namespace

const Settings& settings() { return current; }

void read_settings() {
  if (const char* list = getenv("MORSEL_STORES")) stores << list;
  if (stores.fits()) current.stores = stores.view();
  const char* verbose = getenv("MORSEL_VERBOSE");
  current.verbose = verbose && std::string_view(verbose) == "1";
}

}  // namespace morsel::preload
