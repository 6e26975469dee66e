// SPDX-License-Identifier: MIT
// The medium of a pool in user space: a device or an image file, for this process alone.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/pool/media.h"
#include "result.h"

namespace morsel::pool {

using namespace core::pool;  // what the tools are about
using core::Site;
using core::u64;

/// look: what is written goes to a copy in memory, page by page; the medium stays as it is.
enum class Access { look, change };

class Image {
 public:
  /// Nobody else may have it: neither a mount nor, for files, another of these tools. Error texts
  /// say what to do.
  static Result<Image> open(const std::string& path, Access access);

  Image(Image&& other) noexcept;
  Image& operator=(Image&&) = delete;
  ~Image();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is_device() const { return is_device_; }
  /// Of the whole medium, in bytes.
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  /// A pool may be smaller than its medium: from now on the rest is not there.
  void limit(u64 frames) { frames_ = frames; }

  /// False where reading is an error: a bad block. What at() leads to must not be touched there.
  [[nodiscard]] bool is_readable(Frame frame) const;

  /// Ends the writing: everything is on the medium, or the error says that it is not.
  Status finish();

  // Media.
  [[nodiscard]] u64 frames() const { return frames_; }
  [[nodiscard]] void* at(Frame frame) const { return start_ + frame * frame_bytes; }
  void store(u64* word, u64 value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
  void write(void* to, const void* from, u64 bytes) { __builtin_memcpy(to, from, bytes); }
  void zero(void* to, u64 bytes) { __builtin_memset(to, 0, bytes); }
  /// These tools make no names, so they need no list of free ones.
  void note(u64*, u64) {}
  void flush(Site, const void* from, u64 bytes);
  void fence(Site);

 private:
  Image() = default;
  Status take(Access access);

  std::string path_;
  int fd_ = -1;
  bool is_device_ = false;
  bool writes_ = false;
  uint64_t bytes_ = 0;
  u64 frames_ = 0;
  u8* start_ = nullptr;
  std::vector<std::pair<u64, u64>> dirty_;  ///< first and last byte + 1 of what was flushed
  int error_ = 0;                           ///< of the first write-back that failed
};
static_assert(Media<Image>);

}  // namespace morsel::pool
