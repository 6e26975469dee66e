/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// CRC32C (Castagnoli), a byte at a time.
#pragma once

#include "layout.h"

namespace morsel::core::pool {

/// What each value of a byte adds.
struct CrcTable {
  u32 of[256] = {};

  constexpr CrcTable() {
    for (u32 byte = 0; byte < 256; byte++) {
      u32 crc = byte;
      for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
      of[byte] = crc;
    }
  }
};
inline constexpr CrcTable crc_table;

/// Continues from `crc`; begin with 0.
inline u32 crc32c(const void* data, u64 bytes, u32 crc = 0) {
  const u8* byte = static_cast<const u8*>(data);
  crc = ~crc;
  for (u64 i = 0; i < bytes; i++) crc = (crc >> 8) ^ crc_table.of[(crc ^ byte[i]) & 255];
  return ~crc;
}

/// Of a structure with a field `crc`, which counts as 0.
template <class T>
u32 crc_of(T value, u64 bytes = sizeof(T)) {
  value.crc = 0;
  return crc32c(&value, bytes);
}

}  // namespace morsel::core::pool
