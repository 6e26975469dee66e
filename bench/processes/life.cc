// SPDX-License-Identifier: MIT
#include "life.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "mapper.h"
#include "process.h"

namespace morsel::bench {
namespace {

template <typename T>
T checked(T result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

double to_us(uint64_t ns) { return static_cast<double>(ns) / 1000.0; }

/// Of the whole machine: PageTables of /proc/meminfo.
uint64_t machine_table_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  uint64_t value = 0;
  while (file >> name >> value) {
    if (name == "PageTables:") return value * 1024;
    file.ignore(256, '\n');
  }
  throw std::runtime_error("/proc/meminfo has no PageTables");
}

/// What a process that maps is told, and tells: a byte each way.
class Line {
 public:
  Line() {
    checked(::pipe(order_.data()), "pipe");
    checked(::pipe(answer_.data()), "pipe");
  }
  void tell() const { put(order_[1]); }
  void hear() const { get(order_[0]); }
  void answer() const { put(answer_[1]); }
  void await() const { get(answer_[0]); }
  /// In the process: whoever started it is gone when this end is.
  void keep_mine() const {
    ::close(order_[1]);
    ::close(answer_[0]);
  }
  void keep_starters() const {
    ::close(order_[0]);
    ::close(answer_[1]);
  }
  void close() const {
    ::close(order_[1]);
    ::close(answer_[0]);
  }

 private:
  static void put(int fd) {
    if (::write(fd, "x", 1) != 1) throw std::runtime_error("the other process is gone");
  }
  static void get(int fd) {
    char byte = 0;
    if (::read(fd, &byte, 1) != 1) throw std::runtime_error("the other process is gone");
  }
  std::array<int, 2> order_{}, answer_{};
};

/// In memory that all of them share.
struct Times {
  uint64_t ready_ns, fork_ns;
};

class Processes {
 public:
  explicit Processes(const LifeOptions& options) {
    void* at = ::mmap(nullptr, options.processes * sizeof(Times), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    times_ = static_cast<Times*>(at);
    for (unsigned number = 0; number < options.processes; ++number) start(options, number);
    for (const One& one : all_) one.line.await();
  }
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;
  ~Processes() {
    for (const One& one : all_) {
      ::kill(one.pid, SIGKILL);
      ::waitpid(one.pid, nullptr, 0);
      one.line.close();
    }
  }

  /// One step of the life below, of one process.
  void tell(unsigned number) const { all_[number].line.tell(); }
  void await(unsigned number) const { all_[number].line.await(); }
  [[nodiscard]] const Times& times(unsigned number) const { return times_[number]; }
  [[nodiscard]] unsigned count() const { return static_cast<unsigned>(all_.size()); }
  /// Until the process has ended, all that it had mapped gone.
  uint64_t end_last() {
    const One one = all_.back();
    const uint64_t start = now_ns();
    one.line.tell();
    int status = 0;
    checked(::waitpid(one.pid, &status, 0), "waitpid");
    const uint64_t took = now_ns() - start;
    one.line.close();
    all_.pop_back();
    if (status != 0) throw std::runtime_error("a process failed");
    return took;
  }

 private:
  struct One {
    pid_t pid;
    Line line;
  };

  void start(const LifeOptions& options, unsigned number) {
    const Line line;
    const pid_t pid = checked(::fork(), "fork");
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      line.keep_mine();
      ::_exit(live(options, line, times_[number]));
    }
    line.keep_starters();
    all_.push_back({pid, line});
  }

  /// Maps when told; forks when told; ends when told, without unmapping.
  static int live(const LifeOptions& options, const Line& line, Times& times) {
    try {
      auto mapper = make_mapper(options.system, options.file, options.bytes);
      line.answer();
      line.hear();
      const uint64_t start = now_ns();
      mapper->get_ready();
      times.ready_ns = now_ns() - start;
      line.answer();
      line.hear();
      const uint64_t forking = now_ns();
      const pid_t child = checked(::fork(), "fork");
      if (child == 0) ::_exit(0);
      times.fork_ns = now_ns() - forking;
      checked(::waitpid(child, nullptr, 0), "waitpid");
      line.answer();
      line.hear();
      static_cast<void>(mapper.release());  // it ends as it is
      return 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "process-bench: %s\n", error.what());
      return 1;
    }
  }

  std::vector<One> all_;
  Times* times_ = nullptr;
};

double median_us(std::vector<uint64_t> ns) {
  std::sort(ns.begin(), ns.end());
  return to_us(ns[ns.size() / 2]);
}

}  // namespace

nlohmann::ordered_json measure_life(const LifeOptions& options) {
  nlohmann::ordered_json row{
      {"system", options.system}, {"bytes", options.bytes}, {"processes", options.processes}};
  std::vector<uint64_t> ready, forked, ended;
  {
    Processes processes(options);
    const uint64_t before = machine_table_bytes();
    for (unsigned number = 0; number < processes.count(); ++number) {
      processes.tell(number);
      processes.await(number);
      ready.push_back(processes.times(number).ready_ns);
    }
    const uint64_t after = machine_table_bytes();
    row["table_bytes"] = after > before ? (after - before) / options.processes : 0;
    row["last_ready_us"] = to_us(ready.back());
    for (unsigned number = 0; number < processes.count(); ++number) {
      processes.tell(number);
      processes.await(number);
      forked.push_back(processes.times(number).fork_ns);
    }
    while (processes.count() > 0) ended.push_back(processes.end_last());
  }
  row["ready_us"] = median_us(ready);
  row["fork_us"] = median_us(forked);
  row["exit_us"] = median_us(ended);

  Processes processes(options);
  const uint64_t start = now_ns();
  for (unsigned number = 0; number < processes.count(); ++number) processes.tell(number);
  for (unsigned number = 0; number < processes.count(); ++number) processes.await(number);
  row["together_us"] = to_us(now_ns() - start);
  row["samples"] = {{"ready_ns", ready}, {"fork_ns", forked}, {"exit_ns", ended}};
  return row;
}

}  // namespace morsel::bench
