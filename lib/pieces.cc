// SPDX-License-Identifier: MIT
#include "pieces.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

namespace morsel {

namespace {

// More of them share the same memory channels.
constexpr uint64_t most_threads = 16;

uint64_t processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? uint64_t(CPU_COUNT(&set)) : 1;
}

// What the threads share.
class Job {
 public:
  Job(uint64_t from, uint64_t to, uint64_t piece, const Work& work)
      : to_(to), piece_(piece), work_(work), next_(from) {}

  // One piece; false when there is nothing left to do.
  bool step() {
    if (stop_.load()) return false;
    uint64_t at = next_.fetch_add(piece_);
    if (at >= to_) return false;
    uint64_t length = std::min(piece_, to_ - at);
    try {
      if (Status status = work_(at, length); !status) fail(status.error());
    } catch (const std::bad_alloc&) {
      fail({-ENOMEM, {}});
    }
    done_ += length;
    return true;
  }

  void fail(Error error) {
    std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    stop_ = true;
  }

  [[nodiscard]] uint64_t done() const { return done_.load(); }

  Status result() {
    std::lock_guard lock(mutex_);
    if (error_) return *error_;
    return Done{};
  }

 private:
  const uint64_t to_, piece_;
  const Work& work_;
  std::atomic<uint64_t> next_, done_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::optional<Error> error_;
};

// Threads that the program didn't ask for must not run its signal handlers: they start with
// all signals blocked.
std::vector<std::jthread> helpers(Job& job, uint64_t count) {
  std::vector<std::jthread> threads;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    while (threads.size() < count)
      threads.emplace_back([&job] {
        while (job.step()) {
        }
      });
  } catch (const std::exception&) {
    // No more threads to be had: those that there are do it.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return threads;
}

}  // namespace

Status in_pieces(uint64_t from, uint64_t to, uint64_t piece, const Work& work, const Watch& watch) {
  uint64_t pieces = (to - from + piece - 1) / piece;
  uint64_t threads = std::min({processors(), most_threads, pieces});
  Job job(from, to, piece, work);
  {
    std::vector<std::jthread> others = helpers(job, threads > 1 ? threads - 1 : 0);
    while (job.step())
      if (watch && !watch(job.done())) job.fail({-ECANCELED, "cancelled by the caller"});
  }
  return job.result();
}

}  // namespace morsel
