/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// CRC32C (Castagnoli), a nibble at a time: what it guards is small, and core has no tables to keep.
#pragma once

#include "layout.h"

namespace morsel::core::pool {

/// Continues from `crc`; begin with 0.
inline u32 crc32c(const void* data, u64 bytes, u32 crc = 0) {
  constexpr u32 nibble[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                              0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                              0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
  const u8* byte = static_cast<const u8*>(data);
  crc = ~crc;
  for (u64 i = 0; i < bytes; i++) {
    crc ^= byte[i];
    crc = (crc >> 4) ^ nibble[crc & 15];
    crc = (crc >> 4) ^ nibble[crc & 15];
  }
  return ~crc;
}

/// Of a structure with a field `crc`, which counts as 0.
template <class T>
u32 crc_of(T value, u64 bytes = sizeof(T)) {
  value.crc = 0;
  return crc32c(&value, bytes);
}

}  // namespace morsel::core::pool
