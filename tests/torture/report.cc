// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "supervisor.h"
#include "worker.h"

namespace torture {
namespace {

void print_file(const std::string& path) {
  char text[4096];
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (got <= 0) return;
  text[got] = 0;
  printf("# %s:\n", path.c_str());
  for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
    if (*line) printf("#   %s\n", line);
}

void print_trace(const Trace& trace) {
  char result[64] = "not finished";
  if (trace.result >= 0) snprintf(result, sizeof result, "%lld", (long long)trace.result);
  if (trace.result < 0 && trace.result != INT64_MIN)
    snprintf(result, sizeof result, "%s", strerror(int(-trace.result)));
  printf("#   %llu %s object %u 0x%llx..0x%llx: %s\n", (unsigned long long)trace.step,
         name_of(trace.kind), trace.object, (unsigned long long)trace.from,
         (unsigned long long)trace.to, result);
}

uint64_t sum(unsigned kind, bool succeeded) {
  uint64_t total = 0;
  for (const Thread& thread : control->thread) {
    const Counter& counter = thread.counters[kind];
    total += succeeded ? counter.succeeded : counter.tried;
  }
  return total;
}

}  // namespace

void dump_stacks(int process) {
  if (!process) return;
  std::string tasks = "/proc/" + std::to_string(process) + "/task";
  DIR* dir = opendir(tasks.c_str());
  if (!dir) return;
  while (dirent* entry = readdir(dir)) {
    if (entry->d_name[0] == '.') continue;
    std::string task = tasks + "/" + entry->d_name;
    for (const char* file : {"/stat", "/wchan", "/stack"}) print_file(task + file);
  }
  closedir(dir);
}

void report_failure() {
  unsigned index = control->failures[control->failed - 1].thread;
  const Thread& thread = control->thread[index];
  if (index < control->threads)
    printf(
        "# failed: seed %llu, process %u, thread %u, life %u, operation %llu; its last "
        "operations:\n",
        (unsigned long long)options.seed, index / options.threads, index % options.threads,
        thread.life, (unsigned long long)thread.step.load());
  else
    printf("# failed: seed %llu, the supervisor; its last operations:\n",
           (unsigned long long)options.seed);
  uint64_t step = thread.step;
  for (uint64_t i = step < traces_per_thread ? 1 : step - traces_per_thread + 1; i <= step; i++)
    print_trace(thread.traces[i % traces_per_thread]);
}

void report(double seconds) {
  uint64_t all = 0, succeeded = 0;
  std::string never;
  for (unsigned kind = 0; kind < kind_count; kind++) {
    uint64_t tried = sum(kind, false), good = sum(kind, true);
    all += tried;
    succeeded += good;
    printf("# %-24s %9llu tried %9llu succeeded\n", name_of(Kind(kind)), (unsigned long long)tried,
           (unsigned long long)good);
    if (!good) never += std::string(" ") + name_of(Kind(kind));
  }
  if (!never.empty()) printf("# never succeeded:%s\n", never.c_str());
  printf(
      "# %llu operations, %llu succeeded, %llu words checked, %.1f seconds, %u processes of %u "
      "threads, seed %llu\n",
      (unsigned long long)all, (unsigned long long)succeeded,
      (unsigned long long)control->words_checked.load(), seconds, options.processes,
      options.threads, (unsigned long long)options.seed);
}

}  // namespace torture
