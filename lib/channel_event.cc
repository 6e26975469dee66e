// SPDX-License-Identifier: MIT
#include "channel_event.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace morsel::channel {

namespace {

// Long enough for a packet that is on its way on another CPU, short enough to be nobody's loss.
constexpr int looks = 200;

// Several times what it costs to sleep and to be woken: a packet comes by way of others who would
// have to be woken, too (in a virtual machine, where a CPU that idles is given up, each of them
// takes tens of microseconds). Who has waited for that long in vain sleeps at once the next times,
// more and more of them: looking on takes time from others, and from a neighbour who shares the
// core.
constexpr int64_t patience = 200'000;
constexpr int most_skips = 64;
// A processor that comes back from a yield so late is wanted by others for longer than a packet's
// way, and who sleeps is woken before them.
constexpr int64_t crowded = 300'000;
constexpr int most_skips_if_crowded = 8192;

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

// When a thread looks on, and when it doesn't.
class Patience {
 public:
  bool is_gone() {
    if (skips_ == 0) return false;
    skips_--;
    return true;
  }
  void lose(int most) {
    next_ = std::min(2 * next_, most);
    skips_ = next_;
  }
  void regain() { next_ = 1; }

 private:
  int skips_ = 0, next_ = 1;
};

// Lets others run in between: the one that is waited for may want this processor.
bool has_come_soon(const Event& event, uint32_t seen) {
  thread_local Patience mine;
  const auto has_come = [&] { return event.number.load(std::memory_order_acquire) != seen; };
  for (int i = 0; i < looks; i++) {
    if (has_come()) return true;
    __builtin_ia32_pause();
  }
  if (mine.is_gone()) return false;
  int64_t before = now();
  for (const int64_t until = before + patience; before < until;) {
    sched_yield();
    const int64_t after = now();
    const bool came = has_come();
    if (after - before > crowded)
      mine.lose(most_skips_if_crowded);
    else if (came)
      mine.regain();
    if (came) return true;
    before = after;
  }
  mine.lose(most_skips);
  return false;
}

bool sleep(Event& event, uint32_t seen, const Deadline& deadline) {
  if (has_come_soon(event, seen)) return true;
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
