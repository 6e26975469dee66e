// SPDX-License-Identifier: MIT
#include "channel_event.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace morsel::channel {

namespace {

// Long enough for a packet that is on its way on another CPU, short enough to be nobody's loss.
constexpr int looks = 200;

long futex(std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* timeout) {
  return syscall(SYS_futex, &word, operation, value, timeout, nullptr, 0);
}

}  // namespace

int64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

Deadline::Deadline(int timeout) : never_(timeout < 0), none_(timeout == 0) {
  if (timeout > 0) at_ = now() + timeout * int64_t(1'000'000);
}

int64_t Deadline::left(int64_t most) const {
  if (never_) return most;
  return none_ ? 0 : std::min(most, at_ - now());
}

void raise(Event& event, bool all) {
  event.number.fetch_add(1);
  // Who counts itself after this sees the new number, and does not fall asleep.
  if (event.sleepers.load() > 0) futex(event.number, FUTEX_WAKE, all ? INT_MAX : 1, nullptr);
}

bool sleep(Event& event, uint32_t seen, const Deadline& deadline) {
  for (int i = 0; i < looks; i++) {
    if (event.number.load(std::memory_order_acquire) != seen) return true;
    __builtin_ia32_pause();
  }
  const int64_t time = std::max<int64_t>(deadline.left(nap), 0);
  const timespec timeout{time / 1'000'000'000, time % 1'000'000'000};
  event.sleepers.fetch_add(1);
  futex(event.number, FUTEX_WAIT, seen, &timeout);
  event.sleepers.fetch_sub(1);
  return event.number.load() != seen;
}

void show(Event& event, int descriptor, bool readable) {
  if (event.signalled == uint32_t(readable)) return;
  constexpr uint32_t unknown = 2;
  event.signalled = unknown;  // should we die in between
  uint64_t value = 1;
  const ssize_t done =
      readable ? write(descriptor, &value, sizeof value) : read(descriptor, &value, sizeof value);
  if (done == ssize_t(sizeof value) || (!readable && errno == EAGAIN)) event.signalled = readable;
}

}  // namespace morsel::channel
