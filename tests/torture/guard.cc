// SPDX-License-Identifier: MIT
#include "guard.h"

#include <setjmp.h>
#include <signal.h>

#include "control.h"

namespace torture {
namespace {

thread_local sigjmp_buf* landing;

void on_fault(int signal, siginfo_t* info, void*) {
  if (landing) siglongjmp(*landing, signal);
  fail("signal %d, code %d at %p, outside of any access to an object", signal, info->si_code,
       info->si_addr);
}

void copy(volatile uint64_t* to, const volatile uint64_t* from, size_t count) {
  for (size_t i = 0; i < count; i++) to[i] = from[i];
}

int guarded_copy(uint64_t* to, const uint64_t* from, size_t count) {
  sigjmp_buf here;
  landing = &here;
  int signal = sigsetjmp(here, 0);
  if (signal == 0) copy(to, from, count);
  landing = nullptr;
  return signal;
}

}  // namespace

void install_guard() {
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_NODEFER | SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
}

int load_words(uint64_t* to, const uint64_t* from, size_t count) {
  return guarded_copy(to, from, count);
}

int store_words(uint64_t* to, const uint64_t* from, size_t count) {
  return guarded_copy(to, from, count);
}

}  // namespace torture
