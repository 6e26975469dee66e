// SPDX-License-Identifier: MIT
#include "control.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace torture {

Control* control;
thread_local unsigned me = supervisor;

const char* name_of(Kind kind) {
  static const char* const names[] = {
#define X(name) #name,
#define ADVICE(name, number) "madvise_" #name,
      TORTURE_KINDS(X) TORTURE_ADVICES(ADVICE)
#undef ADVICE
#undef X
  };
  return kind < Kind::count ? names[unsigned(kind)] : "nothing";
}

void attach_control() {
  void* at = mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, control_fd, 0);
  if (at == MAP_FAILED) {
    perror("torture: mapping the control memory");
    exit(2);
  }
  control = static_cast<Control*>(at);
}

void make_control() {
  int fd = memfd_create("torture", 0);
  if (fd < 0 || ftruncate(fd, sizeof(Control)) != 0 || dup2(fd, control_fd) < 0) {
    perror("torture: making the control memory");
    exit(2);
  }
  close(fd);
  attach_control();
  control->clock = 2;
}

void record_failure(const char* format, va_list args) {
  if (control->failed) return;
  uint32_t place = control->failure_count++;
  if (place >= failures_kept) return;  // there are others, and more than enough
  Failure& failure = control->failures[place];
  failure.thread = me;
  vsnprintf(failure.text, sizeof failure.text, format, args);
  uint32_t nobody = 0;
  control->failed.compare_exchange_strong(nobody, place + 1);
}

void fail(const char* format, ...) {
  va_list args;
  va_start(args, format);
  record_failure(format, args);
  va_end(args);
  _exit(9);
}

void begin(Kind kind, uint32_t object, uint64_t from, uint64_t to) {
  Thread& thread = control->thread[me];
  uint64_t step = thread.step.load(std::memory_order_relaxed) + 1;
  thread.traces[step % traces_per_thread] = {step, kind, object, from, to, INT64_MIN};
  thread.kind.store(uint32_t(kind), std::memory_order_relaxed);
  thread.step.store(step, std::memory_order_relaxed);
  thread.counters[unsigned(kind)].tried.fetch_add(1, std::memory_order_relaxed);
}

void end(int64_t result) {
  Thread& thread = control->thread[me];
  auto& trace = thread.traces[thread.step.load(std::memory_order_relaxed) % traces_per_thread];
  trace.result = result;
  if (result >= 0)
    thread.counters[unsigned(trace.kind)].succeeded.fetch_add(1, std::memory_order_relaxed);
}

bool done(int64_t returned) {
  end(returned == -1 ? -errno : returned);
  return returned != -1;
}

}  // namespace torture
