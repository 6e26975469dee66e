// SPDX-License-Identifier: MIT
#include "bell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace morsel::bench {

void Bell::ring() {
  rung_.fetch_add(1);
  if (sleepers_.load() > 0) ::syscall(SYS_futex, &rung_, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

void Bell::await() {
  constexpr int looks = 200;
  for (int i = 0; i < looks && rung_.load(std::memory_order_acquire) == heard_; ++i)
    __builtin_ia32_pause();
  while (rung_.load() == heard_) {
    sleepers_.fetch_add(1);
    ::syscall(SYS_futex, &rung_, FUTEX_WAIT, heard_, nullptr, nullptr, 0);
    sleepers_.fetch_sub(1);
  }
  ++heard_;
}

}  // namespace morsel::bench
