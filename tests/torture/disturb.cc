// SPDX-License-Identifier: MIT
//
// What the machine does to the workers: memory runs short, caches are dropped, memory is
// compacted, CPUs go away and come back.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor.h"
#include "worker.h"

namespace torture {
namespace {

constexpr size_t mib = 1 << 20;
constexpr char group[] = "/sys/fs/cgroup/torture";

bool write_to(const std::string& path, const std::string& text) {
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t written = write(fd, text.data(), text.size());
  int error = errno;
  close(fd);
  errno = error;
  return written == ssize_t(text.size());
}

// In KiB, e.g. "MemAvailable".
long meminfo(const char* key) {
  FILE* file = fopen("/proc/meminfo", "re");
  char line[128];
  long value = 0;
  while (file && fgets(line, sizeof line, file))
    if (!strncmp(line, key, strlen(key))) value = strtol(line + strlen(key) + 1, nullptr, 10);
  if (file) fclose(file);
  return value;
}

// Fills the page cache with the part of the disk that no worker uses.
void read_disk(size_t bytes) {
  int fd = options.disk.empty() ? -1 : open(options.disk.c_str(), O_RDONLY | O_CLOEXEC);
  static char buffer[mib];
  off_t at = max_threads * off_t(Worker::disk_bytes);
  while (fd >= 0 && bytes >= sizeof buffer && pread(fd, buffer, sizeof buffer, at) > 0) {
    at += off_t(sizeof buffer);
    bytes -= sizeof buffer;
  }
  if (fd >= 0) close(fd);
}

// Takes memory until this much is left, and holds it for a moment. Killed when it takes too long.
[[noreturn]] void blow_up(size_t leave_mib, size_t most_mib) {
  constexpr size_t step = 16;
  signal(SIGALRM, [](int) { _exit(0); });
  alarm(5);
  for (size_t taken = 0; taken < most_mib; taken += step) {
    if (size_t(meminfo("MemAvailable")) / 1024 < leave_mib + step) break;
    void* got =
        mmap(nullptr, step * mib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) break;
    madvise(got, step * mib, MADV_HUGEPAGE);
    madvise(got, step * mib, MADV_POPULATE_WRITE);
  }
  read_disk(64 * mib);
  usleep(300000);
  _exit(0);
}

void balloon(bool in_group, size_t most_mib) {
  begin(in_group ? Kind::balloon_in_cgroup : Kind::balloon);
  if (in_group) {
    write_to("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
    if ((mkdir(group, 0755) != 0 && errno != EEXIST) ||
        !write_to(std::string(group) + "/memory.high", "67108864"))
      return end(-errno);
  }
  int pid = fork();
  if (pid == 0) {
    write_to("/proc/self/oom_score_adj", "1000");
    if (in_group && !write_to(std::string(group) + "/cgroup.procs", std::to_string(getpid())))
      _exit(1);
    blow_up(options.leave_mib, in_group ? 48 : most_mib);
  }
  int status = 1;
  if (pid > 0) waitpid(pid, &status, 0);
  end(status == 0 ? 0 : -ENOMEM);
}

std::string cpu_switch(unsigned cpu) {
  return "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/online";
}

void switch_cpu(Random& random, unsigned cpus) {
  if (cpus < 2) return;
  bool on = random.one_in(2);
  std::string path = cpu_switch(unsigned(random.between(1, cpus - 1)));
  begin(on ? Kind::cpu_online : Kind::cpu_offline);
  end(write_to(path, on ? "1" : "0") ? 0 : -errno);
}

}  // namespace

void restore_cpus() {
  auto cpus = unsigned(sysconf(_SC_NPROCESSORS_CONF));
  for (unsigned cpu = 1; options.disturb && cpu < cpus; cpu++) write_to(cpu_switch(cpu), "1");
  rmdir(group);
}

void disturb() {
  Random random{mix(options.seed + 77)};
  auto cpus = unsigned(sysconf(_SC_NPROCESSORS_CONF));
  const size_t all_mib = size_t(meminfo("MemTotal")) / 1024;
  write_to("/proc/sys/vm/drop_caches", "4");  // it shall not say so each time
  for (;;) {
    usleep(useconds_t(random.between(50, 1000)) * 1000);
    switch (random.below(8)) {
      case 0:
      case 1:
        begin(Kind::drop_caches);
        end(write_to("/proc/sys/vm/drop_caches", std::to_string(random.between(1, 3))) ? 0
                                                                                       : -errno);
        break;
      case 2:
        begin(Kind::compact_memory);
        end(write_to("/proc/sys/vm/compact_memory", "1") ? 0 : -errno);
        break;
      case 3:
        balloon(false, all_mib);
        break;
      case 4:
        balloon(true, all_mib);
        break;
      default:
        switch_cpu(random, cpus);
    }
  }
}

}  // namespace torture
