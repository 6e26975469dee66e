// SPDX-License-Identifier: MIT
#include "harness.h"

#include <atomic>
#include <cstdarg>

#include <ftw.h>
#include <mntent.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "../../uapi/morselfs.h"

namespace harness {
namespace {

constexpr long tmpfs_magic = 0x01021994;

enum State { running, failed, skipped };

// One page that all processes of a test share: the first verdict wins.
struct Verdict {
  std::atomic<int> state;
  std::atomic<bool> written;
  char text[900];
};

Verdict* verdict;
Case* first_case;
Case** last_case = &first_case;
std::string dir, scratch_disk, huge;

void conclude(State state, const char* text) {
  int expected = running;
  if (verdict->state.compare_exchange_strong(expected, state)) {
    snprintf(verdict->text, sizeof verdict->text, "%s", text);
    verdict->written = true;
  }
}

void read_mount_options() {
  FILE* mounts = setmntent("/proc/self/mounts", "r");
  if (!mounts) return;
  size_t best = 0;
  while (mntent* entry = getmntent(mounts)) {
    std::string at = entry->mnt_dir;
    bool inside = dir == at || dir.starts_with(at == "/" ? at : at + "/");
    if (!inside || at.size() < best) continue;
    best = at.size();
    huge.clear();
    std::string options = std::string(",") + entry->mnt_opts + ",";
    if (auto from = options.find(",huge="); from != options.npos)
      huge = options.substr(from, options.find(',', from + 1) - from);
  }
  endmntent(mounts);
}

int remove_entry(const char* path, const struct stat*, int kind, FTW*) {
  if (kind == FTW_DP) {
    chmod(path, 0700);
    umount2(path, MNT_DETACH);
  }
  return remove(path);
}

void remove_tree(const std::string& path) {
  umount2(path.c_str(), MNT_DETACH);
  nftw(path.c_str(), remove_entry, 32, FTW_DEPTH | FTW_PHYS);
}

void pause_ms(long ms) {
  timespec t{ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, nullptr);
}

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return double(t.tv_sec) + double(t.tv_nsec) / 1e9;
}

// Kills what is left of the test and reaps it. False if something would not die.
bool kill_group(pid_t group) {
  for (double end = now() + 30 * slowness(); now() < end; pause_ms(5)) {
    kill(-group, SIGKILL);
    pid_t pid;
    while ((pid = waitpid(-1, nullptr, WNOHANG)) > 0)
      ;
    if (pid < 0 && errno == ECHILD) return true;
  }
  return false;
}

// Waits for the test's first process; tells how it ended.
void supervise(pid_t pid, double limit) {
  int fd = int(syscall(SYS_pidfd_open, pid, 0));
  double end = now() + limit;
  pollfd waiter{fd, POLLIN, 0};
  while (poll(&waiter, 1, 200) <= 0) {
    if (verdict->state == failed && verdict->written) {
      pause_ms(200);
      break;  // a child of the test failed; don't wait for the rest
    }
    if (now() > end) {
      char text[64];
      snprintf(text, sizeof text, "expected an end within %.0f s, still runs", limit);
      conclude(failed, text);
      kill(pid, SIGKILL);
      break;
    }
  }
  siginfo_t info{};
  if (waitid(P_PID, pid, &info, WEXITED | WNOHANG) == 0 && info.si_pid == pid) {
    char text[64];
    if (info.si_code != CLD_EXITED)
      snprintf(text, sizeof text, "killed by signal %d", info.si_status);
    else
      snprintf(text, sizeof text, "exit status %d without a reason", info.si_status);
    if (info.si_code != CLD_EXITED || info.si_status != 0) conclude(failed, text);
  }
  close(fd);
}

// Frames may be freed a little after the call that drops them (RCU, file
// references put at the end of a task), so wait for equality.
void check_leaks(const struct statfs& before) {
  struct statfs after;
  double end = now() + 15 * slowness();
  do {
    if (statfs(dir.c_str(), &after) != 0) {
      conclude(failed, "statfs after the test failed");
      return;
    }
    if (after.f_bfree == before.f_bfree && after.f_ffree == before.f_ffree) return;
    pause_ms(20);
  } while (now() < end);
  char text[160];
  snprintf(text, sizeof text,
           "leak: expected %ld free blocks and %ld inodes as before, seen %ld and %ld",
           long(before.f_bfree), long(before.f_ffree), long(after.f_bfree), long(after.f_ffree));
  conclude(failed, text);
}

State run(const Case& test) {
  new (verdict) Verdict{};
  struct statfs before;
  std::string work = dir + "/" + test.name + ".XXXXXX";
  if (statfs(dir.c_str(), &before) != 0 || !mkdtemp(work.data())) {
    printf("not ok %s: expected a directory in %s, seen %s\n", test.name, dir.c_str(),
           strerror(errno));
    return failed;
  }
  fflush(stdout);
  double start = now();
  pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    if (chdir(work.c_str()) != 0) _exit(1);
    test.body();
    _exit(0);
  }
  setpgid(pid, pid);
  supervise(pid, test.limit * slowness());
  if (!kill_group(pid)) conclude(failed, "a process of the test can't be killed");
  remove_tree(work);
  if (verdict->state != failed) check_leaks(before);

  if (verdict->state == failed)
    printf("not ok %s: %s\n", test.name, verdict->text);
  else if (verdict->state == skipped)
    printf("skip %s: %s\n", test.name, verdict->text);
  else
    printf("ok %s\n", test.name);
  if (getenv("MORSELS_TEST_TIMES")) printf("# %s %.2f s\n", test.name, now() - start);
  fflush(stdout);
  return State(verdict->state.load());
}

}  // namespace

double slowness() {
  const char* text = getenv("MORSELS_TEST_SLOWNESS");
  double factor = text ? atof(text) : 1;
  return factor > 1 ? factor : 1;
}

Case::Case(const char* n, unsigned l, Body b) : name(n), limit(l), body(b) {
  *last_case = this;
  last_case = &next;
}

void fail(const char* file, int line, const char* format, ...) {
  char text[800], full[900];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  const char* slash = strrchr(file, '/');
  snprintf(full, sizeof full, "%s (%s:%d)", text, slash ? slash + 1 : file, line);
  conclude(failed, full);
  _exit(1);
}

void skip(const char* format, ...) {
  char text[800];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  conclude(skipped, text);
  _exit(0);
}

const std::string& mount_dir() { return dir; }
const std::string& disk() { return scratch_disk; }
std::string huge_option() { return huge; }
bool is_morselfs() { return !strcmp(file_system(), "morselfs"); }
// A pool is mounted from a device, by its path.
bool in_pool() {
  FILE* mounts = setmntent("/proc/self/mounts", "r");
  bool found = false;
  while (const mntent* entry = mounts ? getmntent(mounts) : nullptr)
    if (dir == entry->mnt_dir)
      found = !strcmp(entry->mnt_type, "morselfs") && entry->mnt_fsname[0] == '/';
  if (mounts) endmntent(mounts);
  return found;
}

bool leaves_move() {
  int fd = open("/sys/module/morselfs/parameters/churn", O_RDONLY | O_CLOEXEC);
  char digit = '0';
  bool on = fd >= 0 && read(fd, &digit, 1) == 1 && digit != '0' && digit != 'N';
  if (fd >= 0) close(fd);
  return on && is_morselfs() && !in_pool();
}

bool has_huge_leaves() { return huge == ",huge=always"; }
// The default is not among the options that are shown.
bool fills_huge_leaves() {
  return has_huge_leaves() || (huge.empty() && is_morselfs() && !in_pool());
}

const char* file_system() {
  struct statfs s;
  if (statfs(dir.c_str(), &s) != 0) return "";
  if (s.f_type == MORSELFS_SUPER_MAGIC) return "morselfs";
  return s.f_type == tmpfs_magic ? "tmpfs" : "";
}

uint64_t free_bytes() {
  struct statfs s;
  if (statfs(dir.c_str(), &s) != 0) return 0;
  return s.f_blocks ? uint64_t(s.f_bavail) * uint64_t(s.f_bsize) : UINT64_MAX;
}

void join(pid_t pid) {
  int status;
  if (waitpid(pid, &status, 0) != pid) fail(__FILE__, __LINE__, "waitpid: %s", strerror(errno));
  if (WIFSIGNALED(status))
    fail(__FILE__, __LINE__, "child: expected an exit, killed by signal %d", WTERMSIG(status));
  if (WEXITSTATUS(status) != 0)
    fail(__FILE__, __LINE__, "child: expected exit status 0, seen %d", WEXITSTATUS(status));
}

void join_killed(pid_t pid, int signal) {
  int status;
  if (waitpid(pid, &status, 0) != pid) fail(__FILE__, __LINE__, "waitpid: %s", strerror(errno));
  if (!WIFSIGNALED(status) || WTERMSIG(status) != signal)
    fail(__FILE__, __LINE__, "child: expected death by signal %d, wait status 0x%x", signal,
         status);
}

}  // namespace harness

int main(int argc, char** argv) {
  using namespace harness;
  const char* only = "";
  std::string* places[] = {&dir, &scratch_disk};
  int place = 0;
  bool quiet = false;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--quiet")) {  // for tests that start this program
      quiet = true;
    } else if (!strcmp(argv[i], "--wait")) {  // the same: until the input ends
      char byte;
      while (read(0, &byte, 1) > 0)
        ;
    } else if (!strcmp(argv[i], "--only") && i + 1 < argc)
      only = argv[++i];
    else if (place < 2)
      *places[place++] = argv[i];
  }
  char* real = place ? realpath(dir.c_str(), nullptr) : nullptr;
  if (!real && quiet) return 2;
  if (!real) {
    fprintf(stderr,
            "usage: %s DIR [DISK] [--only SUBSTRING]\nDIR is on a mounted tmpfs or "
            "morselfs; what is on DISK gets lost\n",
            argv[0]);
    return 2;
  }
  dir = real;
  read_mount_options();

  rlimit no_core{0, RLIM_INFINITY};
  setrlimit(RLIMIT_CORE, &no_core);
  umask(022);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  verdict = static_cast<Verdict*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  int bad = 0;
  for (Case* test = first_case; test; test = test->next)
    if (strstr(test->name, only)) bad += run(*test) == failed;
  return bad != 0;
}
