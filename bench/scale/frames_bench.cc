// SPDX-License-Identifier: MIT
// frames-bench: threads that get and put 4-KiB frames: core's allocator, a list under a mutex, and
// malloc, which is whatever is preloaded. Each thread holds some frames, and puts the oldest
// for each that it gets. Prints nanoseconds of each round.
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "command_line.h"
#include "frames.h"

using namespace morsel::bench;

namespace {

constexpr unsigned held = 256;
constexpr uint64_t frame_bytes = 4096;

/// Frames are numbers; what malloc gives is one, too.
class Allocator {
 public:
  Allocator() = default;
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;
  virtual ~Allocator() = default;
  virtual uint64_t get(unsigned thread) = 0;
  virtual void put(uint64_t frame) = 0;
};

class Core : public Allocator {
 public:
  Core(uint64_t frames, unsigned threads)
      : storage_(std::aligned_alloc(64, Frames::storage_bytes(frames, threads)), &std::free) {
    frames_.init(storage_.get(), frames, threads);
  }
  uint64_t get(unsigned thread) override {
    const auto frame = frames_.get(morsel::core::Level::pte, thread);
    if (!frame.ok()) throw std::runtime_error("no frame");
    return frame.value();
  }
  void put(uint64_t frame) override { (void)frames_.put(frame, morsel::core::Level::pte); }

 private:
  using Frames = morsel::core::BasicFrameAllocator<>;
  std::unique_ptr<void, decltype(&std::free)> storage_;
  Frames frames_;
};

class Mutex : public Allocator {
 public:
  explicit Mutex(uint64_t frames) {
    for (uint64_t frame = 0; frame < frames; ++frame) free_.push_back(frame);
  }
  uint64_t get(unsigned) override {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) throw std::runtime_error("no frame");
    const uint64_t frame = free_.back();
    free_.pop_back();
    return frame;
  }
  void put(uint64_t frame) override {
    const std::lock_guard lock(mutex_);
    free_.push_back(frame);
  }

 private:
  std::mutex mutex_;
  std::vector<uint64_t> free_;
};

class Malloc : public Allocator {
 public:
  uint64_t get(unsigned) override { return reinterpret_cast<uint64_t>(std::malloc(frame_bytes)); }
  void put(uint64_t frame) override { std::free(reinterpret_cast<void*>(frame)); }
};

std::unique_ptr<Allocator> make(const std::string& name, unsigned threads) {
  const uint64_t frames = uint64_t{threads} * (held + 4096);
  if (name == "core") return std::make_unique<Core>(frames, threads);
  if (name == "mutex") return std::make_unique<Mutex>(frames);
  return std::make_unique<Malloc>();
}

uint64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

uint64_t round(Allocator& allocator, unsigned threads, unsigned times) {
  std::atomic<unsigned> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> started;
  for (unsigned number = 0; number < threads; ++number)
    started.emplace_back([&, number] {
      std::vector<uint64_t> mine(held);
      for (uint64_t& frame : mine) frame = allocator.get(number);
      ++ready;
      while (!go) std::this_thread::yield();
      for (unsigned time = 0; time < times; ++time) {
        allocator.put(mine[time % held]);
        mine[time % held] = allocator.get(number);
      }
      for (const uint64_t frame : mine) allocator.put(frame);
    });
  while (ready < threads) std::this_thread::yield();
  const uint64_t start = now_ns();
  go = true;
  for (std::thread& thread : started) thread.join();
  return now_ns() - start;
}

void run_command_line(int argc, char** argv) {
  CLI::App app{"Threads that get and put frames."};
  std::string allocator;
  unsigned threads = 1, times = 100000, rounds = 7;
  app.add_option("--allocator", allocator)
      ->required()
      ->check(CLI::IsMember({"core", "mutex", "malloc"}));
  app.add_option("--threads", threads)->check(CLI::Range(1, 256));
  app.add_option("--times", times)->check(CLI::PositiveNumber);
  app.add_option("--rounds", rounds)->check(CLI::PositiveNumber);
  parse_or_exit(app, argc, argv);
  const auto made = make(allocator, threads);
  std::vector<uint64_t> samples;
  for (unsigned number = 0; number < rounds; ++number)
    samples.push_back(round(*made, threads, times));
  std::puts(nlohmann::ordered_json{{"threads", threads}, {"times", times}, {"ns", samples}}
                .dump()
                .c_str());
}

}  // namespace

int main(int argc, char** argv) {
  return exit_status_of("frames-bench", [&] {
    run_command_line(argc, argv);
    return 0;
  });
}
