// SPDX-License-Identifier: MIT
// One read-only shared mapping of a file, plain or in whole slots.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

#include "system.h"

namespace morsel::bench {

inline constexpr uint64_t page_bytes = 4096;
inline constexpr uint64_t pmd_slot_bytes = uint64_t{2} << 20;
inline constexpr uint64_t pud_slot_bytes = uint64_t{1} << 30;
inline constexpr uint64_t entries_per_table = 512;

constexpr uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

/// What is mapped: `bytes` of the file count, the mapping may be longer.
struct MapRequest {
  std::string path;
  uint64_t bytes = 0;
  bool slots = false;
  bool huge_tlb = false;
  bool populate = false;

  uint64_t pages() const { return round_up(bytes, page_bytes) / page_bytes; }
  uint64_t slot_bytes() const { return bytes >= pud_slot_bytes ? pud_slot_bytes : pmd_slot_bytes; }
  /// Of a mapping in whole slots, so that it lies in one table.
  uint64_t alignment() const { return std::min(std::bit_ceil(length()), table_bytes()); }
  /// A mapping that crosses no boundary of this size has all its slots in one table of the process.
  uint64_t table_bytes() const { return slot_bytes() * entries_per_table; }
  uint64_t length() const {
    if (slots) return round_up(bytes, slot_bytes());
    return round_up(bytes, huge_tlb ? pmd_slot_bytes : page_bytes);
  }
};

MapRequest request_for(const System& system, const std::string& path, uint64_t bytes);

/// Open file and its mapping. Neither constructor nor unmap() allocates memory: both are timed.
class Mapping {
 public:
  /// Opens and maps. Throws std::system_error.
  explicit Mapping(const MapRequest& request);
  /// Keeps the mapping when unmap() was not called: the process ends soon.
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  void unmap();

  const unsigned char* data() const { return data_; }
  int fd() const { return fd_; }

 private:
  void map(void* address, size_t length, int flags);

  int fd_ = -1;
  unsigned char* data_ = nullptr;
  void* mapped_ = nullptr;  ///< what munmap takes: the mapping, or the reservation around it
  size_t mapped_bytes_ = 0;
};

/// Reads one byte of the page.
inline void touch_page(const unsigned char* data, uint64_t page) {
  static_cast<void>(static_cast<const volatile unsigned char*>(data)[page * page_bytes]);
}

}  // namespace morsel::bench
