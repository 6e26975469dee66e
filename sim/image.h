// SPDX-License-Identifier: MIT
//
// A medium for looking at an image: it notes which frames are looked at, and takes back all that
// was written.
#pragma once

#include "memory.h"

namespace morsel::sim {

class Image {
 public:
  explicit Image(std::vector<u64>& words)
      : words_(words), touched_(words.size() / words_per_frame, 0) {}
  ~Image() { undo(); }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  u64 frames() const { return touched_.size(); }
  void* at(Frame frame) {
    if (frame >= frames()) throw Failure("core reaches outside the pool");
    touched_[frame] = 1;
    return &words_[frame * words_per_frame];
  }
  void store(u64* word, u64 value) {
    undo_.push_back({word, *word});
    *word = value;
  }
  void note(u64* word, u64 value) { store(word, value); }
  void write(void* to, const void* from, u64 bytes) {
    save(to, bytes);
    std::memcpy(to, from, bytes);
  }
  void zero(void* to, u64 bytes) {
    save(to, bytes);
    std::memset(to, 0, bytes);
  }
  void flush(Site, const void*, u64) {}
  void fence(Site) {}

  void store(u64 word, u64 value) { store(&words_[word], value); }
  bool touched(Frame frame) const { return touched_[frame] != 0; }

  void undo() {
    for (; !undo_.empty(); undo_.pop_back()) *undo_.back().word = undo_.back().value;
  }

 private:
  struct Old {
    u64* word;
    u64 value;
  };

  void save(void* to, u64 bytes) {
    if (bytes == 0) return;
    const uintptr_t from =
        reinterpret_cast<uintptr_t>(to) - reinterpret_cast<uintptr_t>(words_.data());
    for (u64 word = from / sizeof(u64); word * sizeof(u64) < from + bytes; word++)
      undo_.push_back({&words_[word], words_[word]});
  }

  std::vector<u64>& words_;
  std::vector<char> touched_;
  std::vector<Old> undo_;
};
static_assert(Media<Image>);

}  // namespace morsel::sim
