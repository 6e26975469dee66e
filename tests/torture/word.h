// SPDX-License-Identifier: MIT
//
// What objects are filled with: words of 8 bytes that say where they belong and
// when they were written. The low half is the stamp, the time at which the write
// began; the high half is a checksum over the object, the page, the place in the
// page and the stamp. Zero is no word: it is what a hole holds.
#ifndef MORSELS_TORTURE_WORD_H
#define MORSELS_TORTURE_WORD_H

#include <cstddef>
#include <cstdint>

namespace torture {

constexpr size_t page_bytes = 4096, page_words = page_bytes / 8;
constexpr size_t slot_bytes = 2 << 20, slot_pages = slot_bytes / page_bytes;

// Ids of private mappings have this bit, those of objects do not.
constexpr uint32_t private_bit = 0x80000000;

inline uint64_t mix(uint64_t x) {
  x *= 0x9e3779b97f4a7c15;
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93;
  return x ^ (x >> 32);
}

inline uint64_t page_key(uint32_t id, uint32_t page) {
  return mix((uint64_t(id) << 32) + page + 1);
}

inline uint64_t word(uint64_t key, unsigned place, uint32_t stamp) {
  uint64_t x = (key + place + (uint64_t(stamp) << 24)) * 0x9e3779b97f4a7c15;
  x ^= x >> 29;
  x *= 0xd6e8feb86659fd93;
  return (x & 0xffffffff00000000) | stamp;
}

inline void fill_page(uint64_t* to, uint32_t id, uint32_t page, uint32_t stamp) {
  uint64_t key = page_key(id, page);
  for (unsigned i = 0; i < page_words; i++) to[i] = word(key, i, stamp);
}

inline void fill_pages(uint64_t* to, uint32_t id, uint32_t page, size_t count, uint32_t stamp) {
  for (size_t i = 0; i < count; i++) fill_page(to + i * page_words, id, uint32_t(page + i), stamp);
}

}  // namespace torture

#endif
