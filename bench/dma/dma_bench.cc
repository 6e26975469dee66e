// SPDX-License-Identifier: MIT
// dma-bench: what it costs to hand memory to a device: the first time, and once more, each time by
// a process of its own. No byte is moved. One row of JSON.
//
// In a virtual machine with -icount the CPU's counter counts instructions, which is then the unit.
#include <immintrin.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "command_line.h"
#include "memory.h"
#include "morsel_edu.h"
#include "system_call.h"

using namespace morsel::bench;

namespace {

struct Options {
  std::string system, directory, device = "/dev/morsel_edu0";
  uint64_t bytes = 0;
  unsigned again = 3;
  bool instructions = false;
};

/// The costs of one hand-over, in nanoseconds or instructions.
struct Cost {
  uint64_t get = 0;   ///< to make a dma-buf of it
  uint64_t hold = 0;  ///< to attach that, or to pin memory
  uint64_t map = 0;   ///< to map it for the device
  uint64_t back = 0;  ///< to give all of that back
  /// What the device sees.
  uint64_t segments = 0, address = 0;
};

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options), memory_(make_memory(options.system, options.directory, options.bytes)) {}

  nlohmann::ordered_json row() {
    nlohmann::ordered_json row{{"system", options_.system},
                               {"bytes", options_.bytes},
                               {"length", memory_->length()},
                               {"unit", options_.instructions ? "instructions" : "ns"}};
    if (options_.system == "udmabuf-kept")
      measure_kept(row);
    else
      measure(row);
    return row;
  }

 private:
  uint64_t now() const {
    if (options_.instructions) {
      _mm_lfence();
      const uint64_t ticks = __rdtsc();
      _mm_lfence();
      return ticks;
    }
    return static_cast<uint64_t>(
        std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
  }

  template <typename Do>
  uint64_t cost_of(Do what) const {
    const uint64_t start = now();
    what();
    return now() - start;
  }

  static void note_what_is_seen(int device, const morsel_edu_buffer& buffer, Cost& cost) {
    morsel_edu_segment first{};
    morsel_edu_segments asked{};
    asked.id = buffer.id;
    asked.count = 1;
    asked.segments = reinterpret_cast<uint64_t>(&first);
    checked(::ioctl(device, MORSEL_EDU_SEGMENTS, &asked), "MORSEL_EDU_SEGMENTS");
    cost.segments = buffer.segments;
    cost.address = first.address;
  }

  /// Memory that an open device has.
  struct Handed {
    File device;
    Handle handle{};
    morsel_edu_buffer buffer{};
    Cost cost{};

    void call(unsigned long command) {
      checked(::ioctl(device.fd(), command, &buffer), "the driver");
    }
  };

  /// Up to where the device may begin.
  void hand_over(Handed& handed) const {
    memory_->prepare();
    Cost& cost = handed.cost;
    cost.get = cost_of([&] { handed.handle = memory_->get(); });
    handed.buffer.fd = handed.handle.dmabuf;
    handed.buffer.start = reinterpret_cast<uint64_t>(handed.handle.start);
    handed.buffer.length = memory_->length();
    handed.buffer.direction = MORSEL_EDU_BOTH;
    cost.hold =
        cost_of([&] { handed.call(handed.handle.start ? MORSEL_EDU_PIN : MORSEL_EDU_ATTACH); });
    cost.map = cost_of([&] { handed.call(MORSEL_EDU_MAP); });
    note_what_is_seen(handed.device.fd(), handed.buffer, cost);
  }

  /// All of it, by a process that has never seen the device.
  Cost one_sample() const {
    Handed handed{File(options_.device, O_RDWR)};
    hand_over(handed);
    handed.cost.back = cost_of([&] {
      handed.call(MORSEL_EDU_RELEASE);
      if (handed.handle.dmabuf >= 0) checked(::close(handed.handle.dmabuf), "close");
    });
    return handed.cost;
  }

  void measure(nlohmann::ordered_json& row) const {
    row["first"] = json_of(in_child([&] { return one_sample(); }));
    for (unsigned time = 0; time < options_.again; ++time)
      row["again"].push_back(json_of(in_child([&] { return one_sample(); })));
  }

  /// The attachment is kept, and processes that have inherited it map it again.
  void measure_kept(nlohmann::ordered_json& row) const {
    Handed handed{File(options_.device, O_RDWR)};
    hand_over(handed);
    handed.cost.back = cost_of([&] { handed.call(MORSEL_EDU_UNMAP); });
    row["first"] = json_of(handed.cost);
    for (unsigned time = 0; time < options_.again; ++time)
      row["again"].push_back(json_of(in_child([&] {
        Cost cost;
        cost.map = cost_of([&] { handed.call(MORSEL_EDU_MAP); });
        note_what_is_seen(handed.device.fd(), handed.buffer, cost);
        cost.back = cost_of([&] { handed.call(MORSEL_EDU_UNMAP); });
        return cost;
      })));
  }

  template <typename Do>
  static Cost in_child(Do what) {
    std::array<int, 2> ends{};
    checked(::pipe(ends.data()), "pipe");
    const pid_t child = checked(::fork(), "fork");
    if (child == 0) {
      ::_exit(exit_status_of("dma-bench", [&] {
        const Cost cost = what();
        return ::write(ends[1], &cost, sizeof cost) == sizeof cost ? 0 : 1;
      }));
    }
    ::close(ends[1]);
    Cost cost;
    const bool got = ::read(ends[0], &cost, sizeof cost) == sizeof cost;
    ::close(ends[0]);
    int status = 0;
    checked(::waitpid(child, &status, 0), "waitpid");
    if (!got || status != 0) throw std::runtime_error("a sample failed");
    return cost;
  }

  static nlohmann::ordered_json json_of(const Cost& cost) {
    return {{"get", cost.get},   {"hold", cost.hold},         {"map", cost.map},
            {"back", cost.back}, {"segments", cost.segments}, {"address", cost.address}};
  }

  Options options_;
  std::unique_ptr<Memory> memory_;
};

void run_command_line(int argc, char** argv) {
  CLI::App app{"What handing memory to a device costs, first and again."};
  Options options;
  app.add_option("--system", options.system)->required()->check(CLI::IsMember(systems()));
  app.add_option("--directory", options.directory, "of the system's mount");
  app.add_option("--device", options.device, "of the driver in tests/dma");
  app.add_option("--bytes", options.bytes)->required()->check(CLI::PositiveNumber);
  app.add_option("--again", options.again, "processes after the first")->check(CLI::Range(1, 1000));
  app.add_flag("--instructions", options.instructions, "the CPU's counter counts these");
  parse_or_exit(app, argc, argv);
  std::puts(Bench(options).row().dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  return exit_status_of("dma-bench", [&] {
    run_command_line(argc, argv);
    return 0;
  });
}
