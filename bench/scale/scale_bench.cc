// SPDX-License-Identifier: MIT
// scale-bench: one operation by so many processes or threads at the same time; or what mapping
// costs beside so many who have the object mapped already, in ticks of the CPU's counter, which
// counts the guest's instructions in a machine with -icount.
#include <immintrin.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "command_line.h"
#include "operations.h"
#include "system_call.h"
#include "workers.h"

using namespace morsel::bench;

namespace {

struct Options {
  std::string operation, directory;
  bool memfd = false, huge_pages = false, processes = false;
  unsigned workers = 1, times = 100, rounds = 1, mappers = 0;
};

nlohmann::ordered_json measure(const Options& options) {
  const Place place{options.memfd ? "" : options.directory, options.huge_pages};
  std::vector<uint64_t> samples;
  for (unsigned round = 0; round < options.rounds; ++round) {
    const auto stage = make_stage(options.operation, place, options.workers, options.times);
    samples.push_back(run_together(options.processes, options.workers, options.times,
                                   [&](unsigned worker) { return stage->work(worker); }));
  }
  return {{"operation", options.operation},
          {"kind", options.processes ? "processes" : "threads"},
          {"workers", options.workers},
          {"times", options.times},
          {"ns", samples}};
}

uint64_t ticks() {
  _mm_lfence();
  const uint64_t now = __rdtsc();
  _mm_lfence();
  return now;
}

/// Processes that have an object mapped, each by a descriptor of its own, until the end.
class Mappers {
 public:
  Mappers(const std::string& path, uint64_t bytes, unsigned count) {
    std::array<int, 2> ends{};
    checked(::pipe(ends.data()), "pipe");
    for (unsigned number = 0; number < count; ++number) {
      const pid_t pid = checked(::fork(), "fork");
      if (pid == 0) hold(path, bytes, ends[1]);
      children_.push_back(pid);
    }
    for (unsigned number = 0; number < count; ++number) {
      char byte = 0;
      if (checked(::read(ends[0], &byte, 1), "read") != 1)
        throw std::runtime_error("a mapper died");
    }
    for (const int end : ends) ::close(end);
  }
  Mappers(const Mappers&) = delete;
  Mappers& operator=(const Mappers&) = delete;
  ~Mappers() {
    for (const pid_t child : children_) ::kill(child, SIGKILL);
    for (const pid_t child : children_) ::waitpid(child, nullptr, 0);
  }

 private:
  [[noreturn]] static void hold(const std::string& path, uint64_t bytes, int ready) {
    const File file(path, O_RDWR);
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd(), 0);
    if (at == MAP_FAILED || *static_cast<volatile char*>(at) != 'x' || ::write(ready, "x", 1) != 1)
      ::_exit(1);
    for (;;) ::pause();
  }
  std::vector<pid_t> children_;
};

nlohmann::ordered_json count(const Options& options) {
  constexpr uint64_t bytes = 8 << 20;
  const std::string path = options.directory + "/scale-mapped";
  const File file(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  checked(::ftruncate(file.fd(), bytes), "ftruncate");
  write_at(file.fd(), "x", 1, 0);
  nlohmann::ordered_json row{{"mappers", options.mappers}};
  {
    const Mappers others(path, bytes, options.mappers - 1);
    const File own(path, O_RDWR);
    for (unsigned time = 0; time < options.times; ++time) {
      const uint64_t start = ticks();
      void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, own.fd(), 0);
      const uint64_t mapped = ticks();
      if (at == MAP_FAILED || *static_cast<volatile char*>(at) != 'x')
        throw std::runtime_error("mmap");
      const uint64_t touched = ticks();
      checked(::munmap(at, bytes), "munmap");
      const uint64_t unmapped = ticks();
      row["map"].push_back(mapped - start);
      row["touch"].push_back(touched - mapped);
      row["unmap"].push_back(unmapped - touched);
    }
  }
  checked(::unlink(path.c_str()), path);
  return row;
}

void run_command_line(int argc, char** argv) {
  CLI::App app{"Measures an operation by many at the same time."};
  Options options;
  std::vector<std::string> names;
  for (const Operation& one : operations()) names.emplace_back(one.name);
  app.add_option("--operation", options.operation)->check(CLI::IsMember(names));
  app.add_option("--mappers", options.mappers, "count instructions instead, beside so many - 1");
  app.add_option("--directory", options.directory, "of the system's mount")->required();
  app.add_flag("--memfd", options.memfd, "objects are memfds");
  app.add_flag("--huge-pages", options.huge_pages, "the system is hugetlbfs");
  app.add_flag("--processes", options.processes, "and not threads");
  app.add_option("--workers", options.workers)->check(CLI::Range(1, 1024));
  app.add_option("--times", options.times, "of each worker")->check(CLI::PositiveNumber);
  app.add_option("--rounds", options.rounds)->check(CLI::PositiveNumber);
  parse_or_exit(app, argc, argv);
  std::puts((options.mappers != 0 ? count(options) : measure(options)).dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  return exit_status_of("scale-bench", [&] {
    run_command_line(argc, argv);
    return 0;
  });
}
