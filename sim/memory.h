// SPDX-License-Identifier: MIT
//
// A medium that records. It holds what the CPUs see, what is durable for certain, and, for each
// cache line, the stores in between, in their order: a power cut keeps some prefix of them.
#pragma once

#include <functional>

#include "hash.h"

namespace morsel::sim {

inline constexpr u64 words_per_line = line_bytes / sizeof(u64);
inline constexpr u64 words_per_frame = frame_bytes / sizeof(u64);
inline constexpr u64 lines_per_frame = frame_bytes / line_bytes;

/// A store to a word that need not be durable yet.
struct Store {
  u64 word;  ///< its number in the pool
  u64 value;
  unsigned bulk;  ///< stores with the same number, not 0, may persist in any order
  bool note;      ///< core says that its fate does not matter
};

struct Line {
  std::vector<Store> stores;
  size_t flushed[2] = {0, 0};  ///< by CPU: how many of the stores its flushes cover
};

/// A pool as a power cut leaves it.
struct Content {
  std::vector<u64> words;
  u64 hash = 0;
};

inline u64 hash_of(const std::vector<u64>& words) {
  u64 hash = 0;
  for (u64 i = 0; i < words.size(); i++) hash ^= hash_word(i, words[i]);
  return hash;
}

class Memory : public Watched {
 public:
  enum class Event { store, flush, fence };

  Memory(const Content& content, Site off) : seen_(content.words), durable_(content), off_(off) {}

  /// Is called after a store, before a flush, and before a fence has had its effect.
  std::function<void(Event)> on_event;
  /// The CPU that stores, flushes and fences.
  unsigned cpu = 0;

  // What core wants of a medium.
  u64 frames() const { return seen_.size() / words_per_frame; }
  void* at(Frame frame) {
    if (frame >= frames()) throw Failure("core reaches outside the pool");
    return &seen_[frame * words_per_frame];
  }
  void store(u64* word, u64 value) { store_word(word, value); }
  void note(u64* word, u64 value) {
    record(number(word), value, 0, /*note=*/true);
    tell(Event::store);
  }
  void write(void* to, const void* from, u64 bytes) {
    change(to, bytes, [&](void* part, u64 done, u64 n) {
      std::memcpy(part, static_cast<const char*>(from) + done, n);
    });
  }
  void zero(void* to, u64 bytes) {
    change(to, bytes, [](void* part, u64, u64 n) { std::memset(part, 0, n); });
  }
  void flush(Site site, const void* from, u64 bytes) {
    tell(Event::flush);
    if (site == off_) return;
    const u64 first = number(from) / words_per_line;
    const u64 last = number(static_cast<const char*>(from) + bytes - 1) / words_per_line;
    for (auto line = lines_.lower_bound(first); line != lines_.end() && line->first <= last; ++line)
      line->second.flushed[cpu] = line->second.stores.size();
  }
  void fence(Site site) {
    tell(Event::fence);
    if (site == off_) return;
    for (auto line = lines_.begin(); line != lines_.end();) {
      settle(line->second);
      line = line->second.stores.empty() ? lines_.erase(line) : std::next(line);
    }
  }

  // What core's atomic stores want.
  bool holds(const void* word) const override {
    return word >= seen_.data() && word < seen_.data() + seen_.size();
  }
  void store_word(u64* word, u64 value) override {
    record(number(word), value, 0, /*note=*/false);
    tell(Event::store);
  }

  /// Somebody else has got this frame and has filled it, durably: who still leads to it, in
  /// whatever a power cut leaves, leads to nonsense.
  void scribble(Frame frame) {
    const u64 first = frame * words_per_frame;
    lines_.erase(lines_.lower_bound(frame * lines_per_frame),
                 lines_.lower_bound((frame + 1) * lines_per_frame));
    for (u64 word = first; word < first + words_per_frame; word++) {
      seen_[word] = nonsense(word);
      persist(word, seen_[word]);
    }
  }
  static u64 nonsense(u64 word) { return mix(word) | 1; }

  const std::map<u64, Line>& lines() const { return lines_; }
  Content& durable() { return durable_; }
  Site off() const { return off_; }

  /// What is durable and what is to be is all that the CPUs see; else a store has gone by.
  void audit() const {
    std::vector<u64> all = durable_.words;
    for (const auto& [number, line] : lines_)
      for (const Store& store : line.stores) all[store.word] = store.value;
    for (u64 word = 0; word < all.size(); word++)
      if (all[word] != seen_[word])
        throw Failure("a store to frame " + std::to_string(word / words_per_frame) +
                      " has gone by the medium");
  }

 private:
  u64 number(const void* at) const {
    return (reinterpret_cast<uintptr_t>(at) - reinterpret_cast<uintptr_t>(seen_.data())) /
           sizeof(u64);
  }

  void tell(Event event) {
    if (on_event) on_event(event);
  }

  void record(u64 word, u64 value, unsigned bulk, bool note) {
    if (seen_[word] == value) return;  // makes no other image
    seen_[word] = value;
    lines_[word / words_per_line].stores.push_back({word, value, bulk, note});
  }

  template <class Change>
  void change(void* to, u64 bytes, Change&& apply) {
    if (bytes == 0) return;
    bulk_++;
    char* at = static_cast<char*>(to);
    for (u64 done = 0; done < bytes;) {
      const u64 skip = reinterpret_cast<uintptr_t>(at + done) % sizeof(u64);
      const u64 part = std::min(bytes - done, sizeof(u64) - skip);
      u64 value = 0;
      const u64 word = number(at + done);
      std::memcpy(&value, &seen_[word], sizeof(value));
      apply(reinterpret_cast<char*>(&value) + skip, done, part);
      record(word, value, bulk_, /*note=*/false);
      done += part;
    }
    tell(Event::store);
  }

  void persist(u64 word, u64 value) {
    durable_.hash ^= hash_word(word, durable_.words[word]) ^ hash_word(word, value);
    durable_.words[word] = value;
  }

  void settle(Line& line) {
    const size_t done = line.flushed[cpu];
    for (size_t i = 0; i < done; i++) persist(line.stores[i].word, line.stores[i].value);
    line.stores.erase(line.stores.begin(), line.stores.begin() + static_cast<long>(done));
    for (size_t& flushed : line.flushed) flushed -= std::min(flushed, done);
  }

  std::vector<u64> seen_;
  Content durable_;
  std::map<u64, Line> lines_;  ///< those with stores that need not be durable
  unsigned bulk_ = 0;
  const Site off_;
};
static_assert(Media<Memory>);

}  // namespace morsel::sim
