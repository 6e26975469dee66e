// SPDX-License-Identifier: MIT
#include "workers.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include "process.h"
#include "system_call.h"

namespace morsel::bench {
namespace {

/// What they share; each word has a cache line of its own.
struct Board {
  alignas(64) std::atomic<unsigned> ready{0};
  alignas(64) std::atomic<bool> go{false};
  alignas(64) std::atomic<bool> failed{false};
  alignas(64) std::atomic<uint64_t> last_end{0};
};

/// Memory that children have, too.
class SharedBoard {
 public:
  SharedBoard() {
    void* at =
        ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::runtime_error("mmap");
    board_ = new (at) Board;
  }
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  ~SharedBoard() { ::munmap(board_, sizeof(Board)); }
  Board* operator->() const { return board_; }

 private:
  Board* board_;
};

void use_cpu(unsigned number) {
  const auto cpus = static_cast<unsigned>(checked(::sysconf(_SC_NPROCESSORS_ONLN), "sysconf"));
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(number % cpus, &set);
  checked(::sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

void raise_to(std::atomic<uint64_t>& most, uint64_t value) {
  uint64_t seen = most;
  while (seen < value && !most.compare_exchange_weak(seen, value)) {
  }
}

void work(const SharedBoard& board, unsigned worker, unsigned times, const MakeWork& make) {
  try {
    use_cpu(worker);
    const auto mine = make(worker);
    ++board->ready;
    while (!board->go) ::sched_yield();
    for (unsigned time = 0; time < times; ++time) mine->once(time);
    raise_to(board->last_end, now_ns());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "worker %u: %s\n", worker, error.what());
    board->failed = true;
    ++board->ready;
  }
}

class Started {
 public:
  explicit Started(bool processes) : processes_(processes) {}
  void add(const std::function<void()>& body) {
    if (!processes_) return threads_.emplace_back(body), void();
    const pid_t pid = checked(::fork(), "fork");
    if (pid == 0) {
      body();
      ::_exit(0);
    }
    children_.push_back(pid);
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    for (const pid_t child : children_) {
      int status = 0;
      checked(::waitpid(child, &status, 0), "waitpid");
      if (status != 0) throw std::runtime_error("a worker died");
    }
  }

 private:
  bool processes_;
  std::vector<std::thread> threads_;
  std::vector<pid_t> children_;
};

}  // namespace

uint64_t run_together(bool processes, unsigned workers, unsigned times, const MakeWork& make) {
  const SharedBoard board;
  Started started(processes);
  for (unsigned worker = 0; worker < workers; ++worker)
    started.add([&board, worker, times, &make] { work(board, worker, times, make); });
  while (board->ready < workers) ::usleep(1000);
  const uint64_t start = now_ns();
  board->go = true;
  started.join();
  if (board->failed) throw std::runtime_error("a worker failed");
  return board->last_end - start;
}

}  // namespace morsel::bench
