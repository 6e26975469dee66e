/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// What a payload with extended attributes holds: one after the other, without padding,
//   u16 bytes of the name, u16 bytes of the value, name (with its prefix, no zero), value
#pragma once

#include "layout.h"

namespace morsel::core::pool {

inline constexpr u64 xattr_head_bytes = 4;

/// Calls visit(name, name_bytes, value, value_bytes) for each, until it returns false. False if the
/// bytes are no such list; then some may have been visited.
template <class Visit>
bool each_xattr(const u8* data, u64 bytes, Visit&& visit) {
  for (u64 at = 0; at < bytes;) {
    if (bytes - at < xattr_head_bytes) return false;
    const u64 name = data[at] | u64(data[at + 1]) << 8;
    const u64 value = data[at + 2] | u64(data[at + 3]) << 8;
    at += xattr_head_bytes;
    if (name == 0 || name > name_limit || bytes - at < name + value) return false;
    for (u64 i = 0; i < name; i++)
      if (data[at + i] == 0) return false;
    if (!visit(data + at, name, data + at + name, value)) return true;
    at += name + value;
  }
  return true;
}

}  // namespace morsel::core::pool
