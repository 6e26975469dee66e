// SPDX-License-Identifier: MIT
//
// The lines of MORSEL_VERBOSE.
#pragma once

#include <cstddef>

#include "object.h"

namespace morsel::preload {

void report_replaced(int source, size_t length, Kind kind);
void report_refused(int source, size_t length, const char* why);

}  // namespace morsel::preload
