// SPDX-License-Identifier: MIT
// A file's contents straight from its disk into memory, past the page cache: nothing is copied, and
// the file does not take memory twice.
#pragma once

#include <liburing.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "descriptor.h"
#include "pieces.h"

namespace morsel {

/// Reads what is worth it, with many requests on their way at a time, by io_uring. For one thread.
class DirectReader {
 public:
  /// For `bytes` of the file from `offset` on, in pieces of `piece` bytes. Nothing where there is
  /// no gain, or the file system, the kernel or a sandbox doesn't take part.
  static std::unique_ptr<DirectReader> open(int file, uint64_t offset, uint64_t bytes,
                                            uint64_t piece);
  ~DirectReader();
  DirectReader(const DirectReader&) = delete;
  DirectReader& operator=(const DirectReader&) = delete;

  /// Reads whole pieces that are not in the page cache to their place behind `to`. One that fails,
  /// or comes short, is left out with all that follow: who reads it the ordinary way sees why. No
  /// request is on its way any more, and nothing is pinned, when it returns; false, if `watch`
  /// said so.
  bool read(std::byte* to, const Watch& watch);

  /// Whether the piece that begins there was read.
  [[nodiscard]] bool has(uint64_t at) const { return read_[at / piece_]; }
  /// How much was read.
  [[nodiscard]] uint64_t done() const { return done_; }

 private:
  static constexpr unsigned depth = 4;  // requests on their way

  DirectReader(Descriptor file, uint64_t offset, uint64_t bytes, uint64_t piece);
  bool start_ring();
  [[nodiscard]] bool is_cached(uint64_t at) const;
  bool submit(std::byte* to, uint64_t at, unsigned slot);
  void complete(const io_uring_cqe& event);

  Descriptor file_;
  uint64_t offset_, bytes_, piece_;
  io_uring ring_{};
  bool has_ring_ = false, has_slots_ = false, stop_ = false;
  std::byte* view_ = nullptr;  // the file, mapped to ask what is cached, never touched
  std::vector<bool> read_;
  std::vector<unsigned> free_slots_;
  std::array<uint64_t, depth> at_{};  // of the piece on its way in each slot
  uint64_t done_ = 0;
};

}  // namespace morsel
