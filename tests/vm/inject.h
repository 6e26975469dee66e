// SPDX-License-Identifier: MIT
//
// Fault injection: operations are done again and again, with their first, second, ...
// allocation failing, until none is left to fail. There are two ways to make one fail,
// and an executable for each: the module's own (inject_module.cc), which any kernel has,
// and the kernel's (inject_kernel.cc), which fails the kernel's allocations, too.
#ifndef MORSELS_TESTS_INJECT_H
#define MORSELS_TESTS_INJECT_H

#include <sys/statfs.h>

#include "memory.h"

namespace inject {

// SKIPs the test where allocations can't be made to fail.
void need();
// The n-th allocation from now on fails, once.
void arm(unsigned long n);
// None does. True if one did since arm().
bool disarm();
// Is this what a system call may say when an allocation failed?
bool excusable(int error);
// The tests are over: as if there had been none.
void end();

// Runs a test in a process of its own, and sees that nothing fails any more when it is
// over, and that no page table stays behind.
void session(void (*body)());

// 0, or the error that a system call ended with.
template <class T>
int error_of(T result) {
  return harness::is_error(result) ? errno : 0;
}

// Every allocation is worth a try at first; later on (every page of a long write takes
// some) only some are.
constexpr unsigned long next(unsigned long n) { return n < 16 ? n + 1 : n + n / 4; }

// Allocations that did fail in this process's exhaust().
inline unsigned long failed_allocations;

// The mount has as many free blocks and inodes again.
void check_free(const struct statfs& before, const char* what, unsigned long n);

// Has every allocation of an operation fail.
//   act    does it; 0 or an error. Done again after an error, it goes on or starts anew
//   check  what must hold afterwards, whether it was done (true) or not
//   undo   brings back what was before it
template <class Act, class Check, class Undo>
void exhaust(const char* what, Act&& act, Check&& check, Undo&& undo) {
  for (unsigned long n = 1;; n = next(n)) {
    struct statfs before;
    SYS(statfs(".", &before));
    arm(n);
    int error = act();
    bool failed = disarm();
    failed_allocations += failed;
    if (error && !failed)
      FAIL("%s: expected success where nothing was made to fail, seen %s", what, strerror(error));
    if (error && !excusable(error))
      FAIL("%s, allocation %lu fails: expected an error that says so, seen %s", what, n,
           strerror(error));
    check(error == 0);
    if (error) {
      error = act();
      if (error)
        FAIL("%s, allocation %lu failed: expected the next try to succeed, seen %s", what, n,
             strerror(error));
      check(true);
    }
    undo();
    check_free(before, what, n);
    if (!failed) return;
  }
}

}  // namespace inject

#define INJECT_TEST(name)                                 \
  static void body_##name();                              \
  TEST_LIMIT(name, 300) { inject::session(body_##name); } \
  static void body_##name()

#endif
