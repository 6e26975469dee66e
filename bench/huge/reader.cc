// SPDX-License-Identifier: MIT
#include "reader.h"

#include <fcntl.h>
#include <morselfs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "command_line.h"
#include "mapping.h"
#include "measure.h"
#include "slots.h"

namespace morsel::bench {
namespace {

/// Counts of values, in steps of an eighth of a power of two.
class Histogram {
 public:
  void add(uint64_t value) {
    ++counts_[index(value)];
    ++all_;
    most_ = std::max(most_, value);
  }
  [[nodiscard]] uint64_t all() const { return all_; }
  [[nodiscard]] uint64_t most() const { return most_; }
  /// The least value that so large a part of all is not above, to an eighth.
  [[nodiscard]] uint64_t quantile(double part) const {
    const auto wanted = static_cast<uint64_t>(part * static_cast<double>(all_));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted) return value(i);
    }
    return most_;
  }

 private:
  static constexpr unsigned steps = 8;
  static size_t index(uint64_t value) {
    if (value < steps) return value;
    const auto power = static_cast<unsigned>(std::bit_width(value)) - 4;
    return (power + 1) * steps + (value >> power) % steps;
  }
  static uint64_t value(size_t index) {
    if (index < steps) return index;
    return (steps + index % steps) << (index / steps - 1);
  }
  std::array<uint64_t, size_t{64} * steps> counts_{};
  uint64_t all_ = 0, most_ = 0;
};

struct Progress {
  std::atomic<bool> stop, promoting, failed;
  std::atomic<uint64_t> moved_bytes, promoting_ns;
};

uint64_t move_slots(int fd, unsigned long request) {
  morselfs_range range{};
  range.size = sizeof range;
  if (::ioctl(fd, request, &range) != 0)
    throw std::system_error(errno, std::generic_category(), "moving slots");
  return range.done_bytes;
}

/// A demoted slot has its large frame still. When one page of it is another one, it has to be
/// copied.
void scatter(int fd, uint64_t bytes) {
  const std::array<unsigned char, page_bytes> contents{1};
  for (uint64_t at = 0; at + pmd_slot_bytes <= bytes; at += pmd_slot_bytes)
    if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(at),
                    page_bytes) != 0 ||
        ::pwrite(fd, contents.data(), page_bytes, static_cast<off_t>(at)) != page_bytes)
      throw std::system_error(errno, std::generic_category(), "rewriting a page");
}

void move_on(const MapRequest& file, Progress& progress) {
  const int fd = ::open(file.path.c_str(), O_RDWR | O_CLOEXEC);
  while (!progress.stop) {
    move_slots(fd, MORSELFS_IOC_DEMOTE);
    scatter(fd, file.bytes);
    progress.promoting = true;
    const uint64_t start = now_ns();
    progress.moved_bytes += move_slots(fd, MORSELFS_IOC_PROMOTE);
    progress.promoting_ns += now_ns() - start;
    progress.promoting = false;
  }
}

/// Random words, until so many seconds are over; those while `wanted` is so.
Histogram read_words(const unsigned char* data, uint64_t pages, double seconds,
                     const std::atomic<bool>& promoting, bool wanted) {
  Histogram histogram;
  uint64_t state = 1;
  const uint64_t end = now_ns() + static_cast<uint64_t>(seconds * 1e9);
  for (uint64_t before = now_ns(); before < end;) {
    state = state * 6364136223846793005 + 1442695040888963407;
    const bool counts = promoting == wanted;
    touch_page(data, (state >> 33) % pages);
    const uint64_t after = now_ns();
    if (counts) histogram.add(after - before);
    before = after;
  }
  return histogram;
}

}  // namespace

nlohmann::ordered_json measure_reader(const ReaderOptions& options) {
  void* shared =
      ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  auto& progress = *static_cast<Progress*>(shared);
  const MapRequest request = whole_file(options.file);
  const Mapping mapping(request);
  const auto read = [&](double seconds) {
    return read_words(mapping.data(), request.pages(), seconds, progress.promoting, options.moved);
  };
  static_cast<void>(read(options.seconds / 10));  // what is slow once

  pid_t mover = -1;
  if (options.moved && (mover = ::fork()) == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::_exit(exit_status_of("huge-bench", [&] {
      move_on(request, progress);
      return 0;
    }));
  }
  const Histogram histogram = read(options.seconds);
  progress.stop = true;
  int status = 0;
  if (mover > 0) ::waitpid(mover, &status, 0);
  if (status != 0) throw std::runtime_error("the process that moves slots failed");
  const double seconds =
      options.moved ? static_cast<double>(progress.promoting_ns) / 1e9 : options.seconds;
  nlohmann::ordered_json row{{"bytes", request.bytes},
                             {"moved", options.moved},
                             {"reads", histogram.all()},
                             {"reads_per_s", static_cast<double>(histogram.all()) / seconds},
                             {"moved_bytes", progress.moved_bytes.load()}};
  for (const auto& [name, part] : {std::pair<const char*, double>{"p50_ns", 0.5},
                                   {"p99_ns", 0.99},
                                   {"p99.9_ns", 0.999},
                                   {"p99.99_ns", 0.9999}})
    row[name] = histogram.quantile(part);
  row["max_ns"] = histogram.most();
  return row;
}

}  // namespace morsel::bench
