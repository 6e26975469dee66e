// SPDX-License-Identifier: MIT
//
// The harness of the tests that run on a mounted file system. An executable is
// called with the mount's directory (and, where there is one, a scratch block
// device whose contents it may overwrite):
//
//     EXE DIR [DISK] [--only SUBSTRING]
//
// Each TEST runs in a forked child, in a process group and an empty directory of
// its own (its working directory), with a time limit. One line per test comes
// out: "ok NAME", "not ok NAME: why", "skip NAME: why". When a test is over,
// everything it started is killed, its directory removed, and the mount must
// have as many free blocks and inodes as before it.
#ifndef MORSELS_TESTS_HARNESS_H
#define MORSELS_TESTS_HARNESS_H

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

namespace harness {

using Body = void (*)();

struct Case {
  Case(const char* name, unsigned limit, Body body);
  const char* name;
  unsigned limit;  // seconds
  Body body;
  Case* next = nullptr;
};

// Ends the test, from whichever of its processes or threads.
[[noreturn]] void fail(const char* file, int line, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
[[noreturn]] void skip(const char* format, ...) __attribute__((format(printf, 1, 2)));

const std::string& mount_dir();  // DIR
const std::string& disk();       // DISK, or empty
const char* file_system();       // "tmpfs", "morselfs", or "" for any other
bool is_morselfs();
bool in_pool();             // on persistent memory: tables, names and inodes take space, too
bool has_huge_leaves();     // mounted with huge=always: a page that is touched brings its slot
bool fills_huge_leaves();   // or with within_size: slots that are written as a whole are large
bool leaves_move();         // the module's worker promotes and demotes all the time (`churn`)
std::string huge_option();  // ",huge=..." as the mount has it, or ""
uint64_t free_bytes();      // on the mount
double slowness();  // 1; more on a kernel that watches itself and needs longer for everything

// Forks; the child runs `body` and exits with 0. `join` waits and fails the test
// unless the child ended well; `join_killed` wants it killed by this signal.
template <class F>
pid_t spawn(F&& body) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) fail(__FILE__, __LINE__, "fork: %s", strerror(errno));
  if (pid == 0) {
    body();
    _exit(0);
  }
  return pid;
}
void join(pid_t pid);
void join_killed(pid_t pid, int signal);
template <class F>
void in_child(F&& body) {
  join(spawn(body));
}

}  // namespace harness

#define TEST_LIMIT(name, seconds)                                \
  static void test_##name();                                     \
  static harness::Case case_##name(#name, seconds, test_##name); \
  static void test_##name()
#define TEST(name) TEST_LIMIT(name, 120)

#define FAIL(...) harness::fail(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(...) harness::skip(__VA_ARGS__)

// The condition holds.
#define CHECK(condition)                               \
  do {                                                 \
    if (!(condition)) FAIL("expected %s", #condition); \
  } while (0)

// Two integers are equal.
#define CHECK_EQ(seen, expected)                                                 \
  do {                                                                           \
    auto seen_ = (seen);                                                         \
    auto expected_ = (expected);                                                 \
    if (static_cast<long long>(seen_) != static_cast<long long>(expected_))      \
      FAIL("%s: expected %lld (0x%llx), seen %lld (0x%llx)", #seen,              \
           static_cast<long long>(expected_), static_cast<long long>(expected_), \
           static_cast<long long>(seen_), static_cast<long long>(seen_));        \
  } while (0)

namespace harness {
inline bool is_error(long value) { return value == -1; }
inline bool is_error(const void* address) { return address == MAP_FAILED; }
}  // namespace harness

// The system call succeeds; its value.
#define SYS(call)                                                                                 \
  ({                                                                                              \
    auto value_ = (call);                                                                         \
    if (harness::is_error(value_)) FAIL("%s: expected success, seen %s", #call, strerror(errno)); \
    value_;                                                                                       \
  })

// The system call fails with this error.
#define SYS_ERR(call, error)                                                                \
  do {                                                                                      \
    errno = 0;                                                                              \
    auto value_ = (call);                                                                   \
    if (!harness::is_error(value_)) FAIL("%s: expected %s, seen success", #call, #error);   \
    if (errno != (error)) FAIL("%s: expected %s, seen %s", #call, #error, strerror(errno)); \
  } while (0)

#endif
