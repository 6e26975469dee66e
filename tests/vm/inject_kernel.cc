// SPDX-License-Identifier: MIT
//
// The kernel's own fault injection (failslab, fail_page_alloc), for kernels that have it: the n-th
// allocation of this thread fails, wherever in the kernel it is.
#include "inject.h"

namespace {

constexpr const char* debugfs = "/sys/kernel/debug";

// All kinds of allocations are asked for, and the log stays clean.
void set(const char* capability, const char* knob, const char* value) {
  std::string path = std::string(debugfs) + "/" + capability + "/" + knob;
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) SKIP("a kernel without %s: %s: %s", capability, path.c_str(), strerror(errno));
  CHECK_EQ(write(fd, value, strlen(value)), strlen(value));
  close(fd);
}

int fail_nth() { return open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC); }

int armed = -1;

}  // namespace

namespace inject {

void need() {
  int fd = fail_nth();
  if (fd < 0) SKIP("a kernel without CONFIG_FAULT_INJECTION: no /proc/thread-self/fail-nth");
  close(fd);
  set("failslab", "ignore-gfp-wait", "N");
  set("failslab", "cache-filter", "N");
  set("failslab", "verbose", "0");
  set("fail_page_alloc", "ignore-gfp-wait", "N");
  set("fail_page_alloc", "ignore-gfp-highmem", "N");
  set("fail_page_alloc", "min-order", "0");
  set("fail_page_alloc", "verbose", "0");
}

void arm(unsigned long n) {
  armed = SYS(fail_nth());
  char text[24];
  int length = snprintf(text, sizeof text, "%lu", n);
  CHECK_EQ(write(armed, text, size_t(length)), length);
}

// What is left to count down is 0 if it failed.
bool disarm() {
  char text[24] = {};
  SYS(pread(armed, text, sizeof text - 1, 0));
  CHECK_EQ(pwrite(armed, "0", 1, 0), 1);
  close(armed);
  return atol(text) == 0;
}

// fork says EAGAIN; faults in user memory that the kernel runs into are EFAULT.
bool excusable(int error) { return error == ENOMEM || error == EFAULT || error == EAGAIN; }

void end() {}

}  // namespace inject
