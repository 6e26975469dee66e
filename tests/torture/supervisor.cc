// SPDX-License-Identifier: MIT
#include "supervisor.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker.h"

namespace torture {

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return double(t.tv_sec) + double(t.tv_nsec) / 1e9;
}

void complain(const char* format, ...) {
  va_list args;
  va_start(args, format);
  record_failure(format, args);
  va_end(args);
}

namespace {

void write_text(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!write(fd, text, strlen(text));
  close(fd);
}

void* run_thread(void* shared) {
  auto thread = unsigned(static_cast<Thread*>(shared) - control->thread);
  me = thread;
  control->thread[thread].task = gettid();
  Worker worker(thread);
  worker.run();
  return nullptr;
}

// A process's threads are those from its first one on.
struct Process {
  unsigned first;
  int pid = 0;
  double killed_at = 0;
};

void start(Process& process) {
  unsigned first = process.first;
  for (unsigned i = first; i < first + options.threads; i++) control->thread[i].life++;
  int pid = fork();
  if (pid < 0) return complain("fork of a worker: %s", strerror(errno));
  if (pid == 0) {
    setpgid(0, 0);
    write_text("/proc/self/oom_score_adj", "500");
    for (unsigned i = first; i < first + options.threads; i++)
      control->thread[i].process = getpid();
    for (unsigned i = first + 1; i < first + options.threads; i++) {
      pthread_t thread;
      if (pthread_create(&thread, nullptr, run_thread, &control->thread[i]) != 0)
        _exit(0);  // no memory: it will be started again
    }
    run_thread(&control->thread[first]);
  }
  setpgid(pid, pid);
  process.pid = pid;
}

// Its children have come to us by now. When all are gone, what it was doing is over.
void bury(Process& process) {
  kill(-process.pid, SIGKILL);
  while (waitpid(-process.pid, nullptr, __WALL) > 0 || errno == EINTR)
    ;
  bool used_ring = false;
  for (unsigned i = process.first; i < process.first + options.threads; i++) {
    Thread& thread = control->thread[i];
    auto kind = Kind(thread.kind.load());
    used_ring |= kind == Kind::uring_in || kind == Kind::uring_out;
  }
  if (used_ring) usleep(500000);  // a request may outlive the process by a little
  for (unsigned i = process.first; i < process.first + options.threads; i++) {
    Thread& thread = control->thread[i];
    forget_activity(thread);
    release_claims(i);
    thread.process = thread.task = 0;
    for (Hand& hand : thread.hands) {
      hand.version |= 1;
      hand.at = nullptr;
      hand.version.fetch_add(1);
    }
  }
  process.pid = 0;
}

void judge_end(int status) {
  if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9)) return;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return;
  if (WIFSIGNALED(status)) return complain("a worker was killed by signal %d", WTERMSIG(status));
  complain("a worker ended with exit status %d", WEXITSTATUS(status));
}

class Watchdog {
 public:
  void look() {
    double time = now();
    if (time < next) return;
    next = time + 1;
    for (unsigned i = 0; i < control->threads; i++) {
      Thread& thread = control->thread[i];
      uint64_t step = thread.step + (uint64_t(thread.life) << 48);
      if (step != seen[i] || !thread.process) {
        seen[i] = step;
        since[i] = time;
      } else if (time - since[i] > options.hang) {
        complain("thread %u (process %d) has done nothing for %.0f s; it is in %s", i,
                 thread.process.load(), options.hang, name_of(Kind(thread.kind.load())));
        for (unsigned j = 0; j < control->threads; j += options.threads)
          dump_stacks(control->thread[j].process);
        return;
      }
    }
  }

 private:
  double next = 0, since[max_threads] = {};
  uint64_t seen[max_threads] = {};
};

int start_disturber() {
  int pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    me = max_threads - 1;  // for its counters
    disturb();
  }
  if (pid > 0) setpgid(pid, pid);
  return pid;
}

void stop(int group) {
  kill(-group, SIGKILL);
  while (waitpid(-group, nullptr, __WALL) > 0 || errno == EINTR)
    ;
}

}  // namespace

void supervise() {
  static Process processes[max_threads];
  static Watchdog watchdog;
  Random random{mix(options.seed)};
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (unsigned i = 0; i < options.processes; i++) {
    processes[i].first = i * options.threads;
    start(processes[i]);
  }
  int disturber = options.disturb ? start_disturber() : 0;
  double start_time = now(), next_kill = start_time + options.kill_every;
  while (!control->failed && now() < start_time + options.seconds) {
    usleep(10000);
    watchdog.look();
    if (options.kill_every > 0 && now() > next_kill) {
      Process& victim = processes[random.below(options.processes)];
      begin(Kind::sigkill);
      done(victim.pid ? kill(victim.pid, SIGKILL) : 0);
      next_kill = now() + options.kill_every * double(random.between(1, 200)) / 100;
    }
    for (unsigned i = 0; i < options.processes; i++) {
      int status;
      if (processes[i].pid && waitpid(processes[i].pid, &status, WNOHANG) == processes[i].pid) {
        judge_end(status);
        bury(processes[i]);
        if (!control->failed) start(processes[i]);
      }
    }
  }
  if (disturber > 0) stop(disturber);
  restore_cpus();
  for (unsigned i = 0; i < options.processes; i++)
    if (processes[i].pid) bury(processes[i]);
}

}  // namespace torture
