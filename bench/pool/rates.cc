// SPDX-License-Identifier: MIT
#include "rates.h"

#include <immintrin.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "fill.h"
#include "process.h"
#include "system_call.h"

namespace morsel::bench {
namespace {

constexpr size_t small = 4 << 10, large = 1 << 20;

uint64_t ticks() {
  _mm_lfence();
  const uint64_t now = __rdtsc();
  _mm_lfence();
  return now;
}

class Rates {
 public:
  explicit Rates(const RatesOptions& options)
      : times_(options.times),
        few_(std::max(8U, options.times / 10)),
        folder_(options.directory + "/rates"),
        data_(large, 'x') {
    checked(::mkdir(folder_.c_str(), 0755), folder_);
  }

  nlohmann::ordered_json run() {
    {
      const File directory(folder_, O_RDONLY | O_DIRECTORY);
      names("", [] {});
      names("+fsync", [&] { checked(::fsync(directory.fd()), "fsync"); });
      writes();
      syncs();
    }
    checked(::rmdir(folder_.c_str()), folder_);
    return {{"dax", dax_}, {"operations", result_}};
  }

 private:
  /// Does `what(0)` to `what(times - 1)`.
  template <typename What>
  void measure(const std::string& name, unsigned times, What what) {
    const uint64_t ns = now_ns(), count = ticks();
    for (unsigned number = 0; number < times; ++number) what(number);
    const uint64_t counted = ticks() - count;
    result_[name] = {{"times", times}, {"ns", now_ns() - ns}, {"ticks", counted}};
  }

  [[nodiscard]] std::string old_name(unsigned number) const { return file_name(folder_, number); }
  [[nodiscard]] std::string new_name(unsigned number) const { return old_name(number) + "-new"; }

  /// `then` makes what was done durable, or does nothing.
  template <typename Then>
  void names(const std::string& suffix, Then then) {
    measure("create" + suffix, times_, [&](unsigned number) {
      const File file(old_name(number), O_WRONLY | O_CREAT | O_EXCL);
      // Its name goes with it to the medium on all systems here.
      if (!suffix.empty()) checked(::fsync(file.fd()), "fsync");
    });
    measure("rename" + suffix, times_, [&](unsigned number) {
      checked(::rename(old_name(number).c_str(), new_name(number).c_str()), "rename");
      then();
    });
    measure("unlink" + suffix, times_, [&](unsigned number) {
      checked(::unlink(new_name(number).c_str()), "unlink");
      then();
    });
  }

  /// Who asks how much is free waits until what was removed is: that is not part of what comes
  /// next.
  void remove(const std::string& path) const {
    checked(::unlink(path.c_str()), path);
    struct statfs room {};
    checked(::statfs(folder_.c_str(), &room), "statfs");
  }

  void writes() {
    for (const auto& [name, bytes, times] :
         {std::tuple{"4k", small, times_}, std::tuple{"1m", large, few_}}) {
      const std::string path = folder_ + "/written";
      {
        const File file(path, O_RDWR | O_CREAT | O_EXCL);
        for (const char* how : {"append-", "write-"})
          measure(std::string(how) + name, times, [&](unsigned number) {
            write_at(file.fd(), data_.data(), bytes, static_cast<off_t>(number * bytes));
          });
      }
      dax_ = is_dax(path);
      remove(path);
    }
  }

  void syncs() {
    const std::string path = folder_ + "/synced";
    {
      const File file(path, O_RDWR | O_CREAT | O_EXCL);
      measure("append-4k+fsync", times_, [&](unsigned number) {
        write_at(file.fd(), data_.data(), small, static_cast<off_t>(number * small));
        checked(::fsync(file.fd()), "fsync");
      });
      fsyncs(file.fd());
    }
    remove(path);
  }

  void fsyncs(int fd) {
    uint64_t ns = 0, counted = 0;
    for (unsigned number = 0; number < times_; ++number) {
      write_at(fd, data_.data(), small, static_cast<off_t>(number * small));
      const uint64_t start = now_ns(), count = ticks();
      checked(::fsync(fd), "fsync");
      counted += ticks() - count;
      ns += now_ns() - start;
    }
    result_["fsync"] = {{"times", times_}, {"ns", ns}, {"ticks", counted}};
  }

  const unsigned times_, few_;
  const std::string folder_;
  const std::vector<char> data_;
  bool dax_ = false;
  nlohmann::ordered_json result_;
};

}  // namespace

nlohmann::ordered_json measure_rates(const RatesOptions& options) { return Rates(options).run(); }

}  // namespace morsel::bench
