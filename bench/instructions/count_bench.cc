// SPDX-License-Identifier: MIT
// count-bench: what map, first touch, unmap, fork and send cost, in ticks of the CPU's counter. In
// a virtual machine with -icount that counter counts the guest's instructions
// (bench/instructions/run).
#include <fcntl.h>
#include <immintrin.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <morsel/morsel.hpp>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "command_line.h"
#include "mapping.h"
#include "prepare.h"
#include "process.h"

using namespace morsel::bench;

namespace {

struct Options {
  std::string system, directory;
  uint64_t bytes = 0;
  unsigned times = 15;
};

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

uint64_t ticks() {
  _mm_lfence();
  const uint64_t now = __rdtsc();
  _mm_lfence();
  return now;
}

template <typename Do>
uint64_t cost_of(Do what) {
  const uint64_t start = ticks();
  what();
  return ticks() - start;
}

template <typename T>
T checked(T result, const char* what) {
  if (result < 0) fail(what);
  return result;
}

/// All samples of each operation; the first of them is a process's first.
using Samples = std::vector<std::pair<std::string, std::vector<uint64_t>>>;

void note(Samples& samples, const char* name, uint64_t value) {
  for (auto& [there, values] : samples)
    if (there == name) return values.push_back(value);
  samples.push_back({name, {value}});
}

/// Where every part of a sparse object has a page with data.
constexpr uint64_t part_bytes = uint64_t{1} << 30;

/// A file of that many bytes with one page of data in each GiB, so that its tables reach
/// everywhere.
void make_sparse(const std::string& path, uint64_t bytes) {
  const int fd =
      checked(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), "open");
  checked(::ftruncate(fd, static_cast<off_t>(bytes)), "ftruncate");
  std::array<char, page_bytes> page;
  page.fill('x');
  for (uint64_t at = 0; at < bytes; at += part_bytes)
    checked(::pwrite(fd, page.data(), page.size(), static_cast<off_t>(at)), "pwrite");
  checked(::close(fd), "close");
}

class Bench {
 public:
  Bench(const System& system, const std::string& file, uint64_t bytes)
      : request_(request_for(system, file, bytes)),
        fd_(checked(::open(file.c_str(), O_RDWR | O_CLOEXEC), "open")) {
    plan_.method = system.by_pages() ? Method::populate : Method::list;
    if (!system.by_pages()) plan_.uncovered = {0};
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;
  ~Bench() { ::close(fd_); }

  void map_touch_unmap(Samples& samples) {
    unsigned char* data = nullptr;
    note(samples, "map", cost_of([&] { data = map(); }));
    note(samples, "touch", cost_of([&] { prepare(plan_, request_, data); }));
    check_ready(data);
    note(samples, "unmap", cost_of([&] { unmap(data); }));
  }

  /// With the object mapped and touched: fork in the parent; what the first touch costs the child;
  /// its end, with the parent's wait for it.
  void fork_touch_exit(Samples& samples) {
    unsigned char* data = map();
    prepare(plan_, request_, data);
    std::array<int, 2> ends{};
    checked(::pipe(ends.data()), "pipe");
    pid_t child = 0;
    const uint64_t forked = cost_of([&] { child = checked(::fork(), "fork"); });
    if (child == 0) {
      const uint64_t touched = cost_of([&] { prepare(plan_, request_, data); });
      ::_exit(::write(ends[1], &touched, sizeof touched) == sizeof touched ? 0 : 1);
    }
    uint64_t touched = 0;
    checked(::read(ends[0], &touched, sizeof touched), "read");
    int status = 0;
    const uint64_t ended = cost_of([&] { checked(::waitpid(child, &status, 0), "waitpid"); });
    if (status != 0) throw std::runtime_error("a child failed");
    note(samples, "fork", forked);
    note(samples, "child_touch", touched);
    note(samples, "child_exit", ended);
    for (const int end : ends) ::close(end);
    unmap(data);
  }

 private:
  [[nodiscard]] unsigned char* map() const {
    void* at = ::mmap(nullptr, request_.length(), PROT_READ | PROT_WRITE,
                      MAP_SHARED | (plan_.method == Method::populate ? MAP_POPULATE : 0), fd_, 0);
    if (at == MAP_FAILED) fail("mmap");
    return static_cast<unsigned char*>(at);
  }
  void unmap(unsigned char* data) const { checked(::munmap(data, request_.length()), "munmap"); }

  /// Nothing faults any more, where the object has data.
  void check_ready(const unsigned char* data) const {
    const uint64_t before = faults();
    for (uint64_t at = 0; at < request_.bytes; at += part_bytes) touch_page(data, at / page_bytes);
    if (faults() != before) throw std::runtime_error("the mapping was not ready");
  }

  MapRequest request_;
  Plan plan_;
  int fd_;
};

/// The object to a socket, through libmorsel, and from it again.
void send_and_receive(const morsel::Object& object, Samples& samples) {
  std::array<int, 2> ends{};
  checked(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
  note(samples, "send", cost_of([&] { object.send(ends[0], MORSEL_READ); }));
  note(samples, "receive", cost_of([&] { (void)morsel::Object::receive(ends[1]); }));
  for (const int end : ends) ::close(end);
}

nlohmann::ordered_json measure(const Options& options) {
  const System system = *system_by_name(options.system);
  const std::string file = options.directory + "/count-bench";
  make_sparse(file, options.bytes);
  Samples samples;
  {
    Bench bench(system, file, options.bytes);
    for (unsigned time = 0; time < options.times; ++time) bench.map_touch_unmap(samples);
    for (unsigned time = 0; time < options.times; ++time) bench.fork_touch_exit(samples);
  }
  if (system.ready == Ready::uncovered) {
    const auto object =
        morsel::Object::from_fd(checked(::open(file.c_str(), O_RDWR | O_CLOEXEC), "open"));
    for (unsigned time = 0; time < options.times; ++time) send_and_receive(object, samples);
  }
  checked(::unlink(file.c_str()), "unlink");

  nlohmann::ordered_json row{{"system", options.system}, {"bytes", options.bytes}};
  for (auto& [name, values] : samples) {
    row[name + "_first"] = values.front();
    row["samples"][name] = values;
    values.erase(values.begin());
    std::sort(values.begin(), values.end());
    row[name] = values[values.size() / 2];
  }
  return row;
}

void run_command_line(int argc, char** argv) {
  CLI::App app{"Counts what map, touch, unmap, fork and send cost, of a sparse object."};
  Options options;
  std::vector<std::string> names;
  for (const System& system : systems) names.emplace_back(system.name);
  app.add_option("--system", options.system)->required()->check(CLI::IsMember(names));
  app.add_option("--directory", options.directory, "of the system's mount")->required();
  app.add_option("--bytes", options.bytes)->required()->check(CLI::PositiveNumber);
  app.add_option("--times", options.times)->check(CLI::Range(2, 1000));
  parse_or_exit(app, argc, argv);
  std::puts(measure(options).dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  return exit_status_of("count-bench", [&] {
    run_command_line(argc, argv);
    return 0;
  });
}
