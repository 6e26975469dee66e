// SPDX-License-Identifier: MIT
//
// Threads that start at once, random numbers that need no lock, and readers that a remover can
// wait for.
#pragma once

#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "world.h"

namespace morsel::test {

/// Runs `body(number)` in so many threads, all released together, and waits for them.
template <class Body>
void run_threads(unsigned count, Body&& body) {
  std::atomic<unsigned> waiting{0};
  std::vector<std::thread> threads;
  for (unsigned number = 0; number < count; number++)
    threads.emplace_back([&, number] {
      waiting.fetch_add(1);
      while (waiting < count) std::this_thread::yield();
      body(number);
    });
  for (std::thread& thread : threads) thread.join();
}

/// RCU for tests. A reader is always inside, but for the moments when it calls rest().
class ReadSide {
 public:
  explicit ReadSide(unsigned readers) : count_(readers), rests_(new Rests[readers]) {}

  void rest(unsigned reader) { rests_[reader].n.fetch_add(2, std::memory_order_acq_rel); }
  void leave(unsigned reader) { rests_[reader].n.fetch_or(1, std::memory_order_acq_rel); }

  /// Returns when every reader has rested since the call, or has left.
  void wait() const {
    for (unsigned reader = 0; reader < count_; reader++) {
      const u64 before = rests_[reader].n.load(std::memory_order_acquire);
      for (u64 now = before; now == before && (now & 1) == 0;
           now = rests_[reader].n.load(std::memory_order_acquire))
        std::this_thread::yield();
    }
  }

 private:
  struct alignas(64) Rests {
    std::atomic<u64> n{0};
  };
  const unsigned count_;
  std::unique_ptr<Rests[]> rests_;
};

class Random {
 public:
  explicit Random(u64 seed) : engine_(seed) {}
  u64 below(u64 limit) { return engine_() % limit; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace morsel::test
