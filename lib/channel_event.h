// SPDX-License-Identifier: MIT
// Waiting for other members of a channel: a futex, and a descriptor for poll(2) and the like.
#pragma once

#include <cstdint>
#include <ctime>

#include "channel_control.h"

namespace morsel::channel {

/// Monotonic clock, nanoseconds.
int64_t now();
/// After so many of sleep it is worth a look at who is still alive.
constexpr int64_t nap = 100'000'000;

/// When a call has to give up.
class Deadline {
 public:
  /// Milliseconds; negative: never.
  explicit Deadline(int timeout);
  [[nodiscard]] bool is_now() const { return none_ || (!never_ && left() <= 0); }
  /// Nanoseconds, at most `most`.
  [[nodiscard]] int64_t left(int64_t most = INT64_MAX) const;
  /// It was one from the start: who calls does not want to wait at all.
  [[nodiscard]] bool is_none() const { return none_; }

 private:
  bool never_, none_;
  int64_t at_ = 0;
};

/// Wakes one, or all who wait.
void raise(Event& event, bool all = false);

/// Looks for a moment, then sleeps until the number is another one than `seen`, but not for long:
/// false: it was for that long, and somebody may have died meanwhile.
bool sleep(Event& event, uint32_t seen, const Deadline& deadline);

/// With the lock held, if it is polled: the descriptor shall be readable or not.
void show(Event& event, int descriptor, bool readable);

}  // namespace morsel::channel
