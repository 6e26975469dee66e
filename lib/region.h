// SPDX-License-Identifier: MIT
// A range of address space, and files mapped into it.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "result.h"

namespace morsel {

constexpr uint64_t pmd_slot = uint64_t(1) << 21;
constexpr uint64_t pud_slot = uint64_t(1) << 30;

constexpr uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

/// The smallest slot that holds so many bytes, or as many of the largest as it takes: mapped whole
/// and aligned, each is one entry of the page table.
constexpr uint64_t slot_for(uint64_t bytes) { return bytes <= pmd_slot ? pmd_slot : pud_slot; }
constexpr uint64_t whole_slots(uint64_t bytes) { return round_up(bytes, slot_for(bytes)); }

/// Reserved at first: no access. What alignment costs stays reserved until the end, as giving it
/// back would be two system calls more.
class Region {
 public:
  static Result<Region> reserve(uint64_t length, uint64_t alignment);

  Region(Region&& other) noexcept
      : start_(std::exchange(other.start_, nullptr)), length_(other.length_), at_(other.at_) {}
  Region(const Region&) = delete;
  Region& operator=(Region&&) = delete;
  ~Region() {
    if (start_) munmap(start_, length_);
  }

  /// Aligned.
  [[nodiscard]] std::byte* at() const { return at_; }
  /// Maps the file there, MAP_SHARED.
  [[nodiscard]] Status map(int fd, uint64_t offset, uint64_t length, int protection,
                           int flags = 0) const;

 private:
  Region(void* start, size_t length, std::byte* at) : start_(start), length_(length), at_(at) {}

  void* start_;
  size_t length_;
  std::byte* at_;
};

}  // namespace morsel
