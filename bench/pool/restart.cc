// SPDX-License-Identifier: MIT
#include "restart.h"

#include <linux/ioctl.h>
#include <linux/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <map>
#include <stdexcept>
#include <vector>

#include "command_line.h"
#include "fill.h"
#include "measure.h"
#include "process.h"
#include "system_call.h"

namespace morsel::bench {
namespace {

constexpr std::array part_names = {"mount_us", "open_us", "map_us", "byte_us"};
constexpr size_t parts = part_names.size();

/// In memory that the measuring process shares with its parent.
struct Times {
  std::array<uint64_t, parts + 1> ns;
};

// As XFS has it, and as other file systems took it over: nothing of what is not durable is saved.
constexpr unsigned long going_down = _IOR('X', 125, __u32);
constexpr __u32 no_log_flush = 2;

class Restart {
 public:
  explicit Restart(const RestartOptions& options) : options_(options) {
    void* at =
        ::mmap(nullptr, sizeof(Times), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    times_ = static_cast<Times*>(at);
  }
  Restart(const Restart&) = delete;
  Restart& operator=(const Restart&) = delete;
  ~Restart() { ::munmap(times_, sizeof(Times)); }

  nlohmann::ordered_json run() {
    for (unsigned round = 0; round <= options_.rounds; ++round) {
      const bool counts = round > 0;
      mount_and_read(counts ? "clean" : "");
      change_and_shut_down();
      checked(::umount(options_.directory.c_str()), "umount");
      mount_and_read(counts ? "unclean" : "");
      const uint64_t start = now_ns();
      checked(::umount(options_.directory.c_str()), "umount");
      if (counts) unmounts_.push_back(to_us(now_ns() - start));
    }
    nlohmann::ordered_json result{{"dax", dax_}, {"unmount_us", unmounts_}};
    for (const auto& [state, values] : samples_) result[state] = values;
    return result;
  }

 private:
  /// In a process that did nothing before: what it pays once is in its figures.
  void mount_and_read(const std::string& state) {
    const pid_t pid = checked(::fork(), "fork");
    if (pid == 0) ::_exit(mount_and_read_here());
    int status = 0;
    checked(::waitpid(pid, &status, 0), "waitpid");
    if (status != 0) throw std::runtime_error("could not mount, map and read");
    dax_ = is_dax(options_.file);
    if (state.empty()) return;
    auto& samples = samples_[state];
    for (size_t part = 0; part < parts; ++part)
      samples[part_names[part]].push_back(to_us(times_->ns[part + 1] - times_->ns[part]));
    samples["first_byte_us"].push_back(to_us(times_->ns[parts] - times_->ns[0]));
  }

  int mount_and_read_here() {
    return exit_status_of("pool-bench", [&] {
      auto& ns = times_->ns;
      ns[0] = now_ns();
      checked(::mount(options_.device.c_str(), options_.directory.c_str(), options_.type.c_str(), 0,
                      options_.mount_options.c_str()),
              "mount");
      ns[1] = now_ns();
      const File file(options_.file, O_RDONLY);
      struct stat st {};
      checked(::fstat(file.fd(), &st), "fstat");
      ns[2] = now_ns();
      const void* at =
          ::mmap(nullptr, static_cast<size_t>(st.st_size), PROT_READ, MAP_SHARED, file.fd(), 0);
      if (at == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
      ns[3] = now_ns();
      const char byte = *static_cast<const volatile char*>(at);
      ns[4] = now_ns();
      return byte == 'x' ? 0 : 1;
    });
  }

  /// A durable change, so that there is something to recover, and the end without an unmount.
  void change_and_shut_down() {
    const std::string path = options_.directory + "/changed";
    {
      const File changed(path, O_WRONLY | O_CREAT | O_TRUNC);
      write_at(changed.fd(), "change", 6, 0);
      checked(::fsync(changed.fd()), "fsync");
    }
    const File root(options_.directory, O_RDONLY | O_DIRECTORY);
    __u32 how = no_log_flush;
    checked(::ioctl(root.fd(), going_down, &how), "GOINGDOWN");
  }

  const RestartOptions& options_;
  Times* times_;
  bool dax_ = false;
  std::map<std::string, std::map<std::string, std::vector<double>>> samples_;
  std::vector<double> unmounts_;
};

}  // namespace

nlohmann::ordered_json measure_restart(const RestartOptions& options) {
  return Restart(options).run();
}

}  // namespace morsel::bench
