// SPDX-License-Identifier: MIT
//
// A mutex of which no use can end in a deadlock that mmap itself does not know: its owner calls
// nothing but the kernel, and takes no signals, whose handlers might unmap something.
#pragma once

#include <linux/futex.h>
#include <signal.h>

#include <atomic>

#include "syscall.h"

namespace morsel::preload {

class Lock {
 public:
  void acquire() {
    const uint64_t all = ~uint64_t{0};
    uint64_t before = 0;
    call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof before);
    int seen = free;
    if (!state_.compare_exchange_strong(seen, taken, std::memory_order_acquire)) {
      // Who has waited cannot know whether others still do.
      while (state_.exchange(waited_for, std::memory_order_acquire) != free)
        call(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, waited_for, nullptr);
    }
    signals_ = before;
  }

  void release() {
    const uint64_t before = signals_;
    if (state_.exchange(free, std::memory_order_release) == waited_for)
      call(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1);
    call(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);
  }

 private:
  enum : int { free, taken, waited_for };
  std::atomic<int> state_{free};
  uint64_t signals_ = 0;  // the owner's mask, to be restored
};

class Guard {
 public:
  explicit Guard(Lock& lock) : lock_(lock) { lock_.acquire(); }
  ~Guard() { lock_.release(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Lock& lock_;
};

}  // namespace morsel::preload
