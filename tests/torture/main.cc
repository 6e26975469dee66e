// SPDX-License-Identifier: MIT
//
// torture MOUNT [DISK] [OPTION...]: many processes and threads do random things to shared
// objects, and every word that any of them sees is checked. tests/README.md has more.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "role.h"
#include "supervisor.h"
#include "worker.h"

namespace torture {

Options options;

namespace {

constexpr char usage[] =
    "usage: vm-torture MOUNT [DISK] [OPTION VALUE]...\n"
    "MOUNT is a mounted morselfs (or tmpfs); what is on DISK gets lost.\n"
    "  --seconds N      how long (default 12)\n"
    "  --seed N         where the random streams begin (default 1)\n"
    "  --processes N    workers (default 4)\n"
    "  --threads N      in each of them (default 2)\n"
    "  --objects N      names of objects (default 8)\n"
    "  --disk DEVICE    as DISK\n"
    "  --hang N         seconds without any progress that are a failure (default 240)\n"
    "  --kill N         seconds between two SIGKILLs, on average; 0: none (default 1.5)\n"
    "  --disturb 0|1    memory pressure, dropped caches, CPUs that come and go (default 1)\n"
    "  --leave MIB      free memory that the pressure leaves (default 1024)\n"
    "  --plant BUG      as if the kernel had it: punch, truncate, write, page or private\n"
    "  --only TEXT      do nothing if TEXT is not part of the word torture\n";

bool set(const char* name, const char* value) {
  std::string option = name;
  double number = atof(value);  // NOLINT
  if (option == "--seconds")
    options.seconds = number;
  else if (option == "--seed")
    options.seed = strtoull(value, nullptr, 0);
  else if (option == "--processes")
    options.processes = unsigned(number);
  else if (option == "--threads")
    options.threads = unsigned(number);
  else if (option == "--objects")
    options.objects = unsigned(number);
  else if (option == "--disk")
    options.disk = value;
  else if (option == "--hang")
    options.hang = number;
  else if (option == "--kill")
    options.kill_every = number;
  else if (option == "--disturb")
    options.disturb = number != 0;
  else if (option == "--leave")
    options.leave_mib = size_t(number);
  else if (option == "--plant")
    options.plant = value;
  else if (option == "--only")
    options.only = value;
  else
    return false;
  return true;
}

bool parse(int count, char** arguments) {
  std::string* places[] = {&options.mount, &options.disk};
  int place = 0;
  for (int i = 1; i < count; i++) {
    if (arguments[i][0] == '-') {
      if (i + 1 >= count || !set(arguments[i], arguments[i + 1])) return false;
      i++;
    } else if (place < 2) {
      *places[place++] = arguments[i];
    } else {
      return false;
    }
  }
  return !options.mount.empty() && options.processes && options.threads && options.objects &&
         options.processes * options.threads < max_threads - 1 && options.objects < name_count_max;
}

int run() {
  make_control();
  control->threads = options.processes * options.threads;
  double start = now();
  make_objects();
  if (!control->failed) supervise();
  double seconds = now() - start;
  if (!control->failed) audit();
  report(seconds);
  if (!control->failed) {
    printf("ok torture\n");
    return 0;
  }
  report_failure();
  printf("not ok torture: %s\n", control->failures[control->failed - 1].text);
  return 1;
}

}  // namespace
}  // namespace torture

int main(int count, char** arguments) {
  using namespace torture;
  if (count == 3 && !strcmp(arguments[1], "--role")) return play_role(arguments[2]);
  setvbuf(stdout, nullptr, _IOLBF, 0);
  if (!parse(count, arguments)) {
    fputs(usage, stderr);
    return 2;
  }
  if (!strstr("torture", options.only.c_str())) return 0;
  return run();
}
