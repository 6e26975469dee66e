// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "core/pool/layout.h"

namespace morsel::pool {

using Uuid = core::pool::u8[16];

/// A random one (version 4).
void make_uuid(Uuid& uuid);
/// From "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"; false if it is none.
bool parse_uuid(const std::string& text, Uuid& uuid);
std::string uuid_text(const Uuid& uuid);

}  // namespace morsel::pool
