// SPDX-License-Identifier: MIT
//
// A pool's medium in memory, and who has which of its frames. Aborts on what core must never do.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "core/pool/media.h"

namespace morsel::core::pool::test {

[[noreturn]] inline void die(const char* what, u64 value) {
  std::fprintf(stderr, "%s: %lu\n", what, value);
  std::abort();
}

/// Thrown by the store that the power does not last for.
struct PowerCut {};

/// The medium. Each store is durable at once; sim/ looks at all other orders.
class Memory {
 public:
  explicit Memory(u64 frames) : frames_(frames), bytes_(allocate(frames)) {
    std::memset(bytes_.get(), 0, size());
  }
  Memory(const Memory& other) : frames_(other.frames_), bytes_(allocate(other.frames_)) {
    std::memcpy(bytes_.get(), other.bytes_.get(), size());
  }
  Memory& operator=(const Memory& other) {
    if (this == &other) return *this;
    if (frames_ != other.frames_) die("a medium of another size", other.frames_);
    std::memcpy(bytes_.get(), other.bytes_.get(), size());
    return *this;
  }

  bool operator==(const Memory& other) const {
    return frames_ == other.frames_ && std::memcmp(bytes_.get(), other.bytes_.get(), size()) == 0;
  }

  /// The power lasts for that many stores from now on.
  void cut_after(u64 stores) { left_ = stores; }
  [[nodiscard]] u64 stores() const { return stores_; }
  [[nodiscard]] u64 size() const { return frames_ * frame_bytes; }

  [[nodiscard]] u64 frames() const { return frames_; }
  void* at(Frame frame) {
    if (frame >= frames_) die("a frame beyond the medium", frame);
    return bytes_.get() + frame * frame_bytes;
  }
  void store(u64* word, u64 value) {
    inside(word, sizeof(*word));
    if (reinterpret_cast<unsigned long>(word) % sizeof(*word) != 0) die("a skew store", value);
    *word = value;
  }
  void write(void* to, const void* from, u64 bytes) {
    inside(to, bytes);
    std::memcpy(to, from, bytes);
  }
  void zero(void* to, u64 bytes) {
    inside(to, bytes);
    std::memset(to, 0, bytes);
  }
  void note(u64* word, u64 value) { store(word, value); }
  void flush(Site, const void* from, u64 bytes) { range(from, bytes); }
  void fence(Site) {}

 private:
  struct Free {
    void operator()(u8* bytes) const { std::free(bytes); }
  };

  static u8* allocate(u64 frames) {
    void* bytes = std::aligned_alloc(frame_bytes, frames * frame_bytes);
    if (bytes == nullptr) die("no memory for frames", frames);
    return static_cast<u8*>(bytes);
  }
  void range(const void* from, u64 bytes) const {
    const u64 offset = static_cast<u64>(static_cast<const u8*>(from) - bytes_.get());
    if (offset > size() || bytes > size() - offset) die("bytes beyond the medium", offset);
  }
  void inside(const void* from, u64 bytes) {
    range(from, bytes);
    if (left_ && *left_ == 0) throw PowerCut{};
    if (left_) --*left_;
    stores_++;
  }

  u64 frames_;
  std::unique_ptr<u8[], Free> bytes_;
  u64 stores_ = 0;
  std::optional<u64> left_;
};
static_assert(Media<Memory>);

/// Hands out the lowest free frame.
class FrameMap {
 public:
  explicit FrameMap(u64 frames) : used_(frames) {}

  bool claim(Frame frame) {
    if (frame >= used_.size()) die("no such frame", frame);
    if (used_[frame]) return false;
    used_[frame] = true;
    count_++;
    return true;
  }
  Result<Frame> get() {
    for (Frame frame = 0; frame < used_.size(); frame++)
      if (claim(frame)) return frame;
    return Error::no_space;
  }
  void put(Frame frame) {
    if (frame >= used_.size() || !used_[frame]) die("a frame that nobody has", frame);
    used_[frame] = false;
    count_--;
  }
  [[nodiscard]] bool is_used(Frame frame) const { return used_.at(frame); }
  [[nodiscard]] u64 used() const { return count_; }

 private:
  std::vector<bool> used_;
  u64 count_ = 0;
};
static_assert(Frames<FrameMap>);

}  // namespace morsel::core::pool::test
