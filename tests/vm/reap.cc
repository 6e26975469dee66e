// SPDX-License-Identifier: MIT
//
// What the out-of-memory killer does to a victim's mappings, by process_mrelease(2):
// the same code, at a known moment, without a machine that has run full.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "memory.h"

namespace {
constexpr size_t bytes = 3 * leaf + 5 * page;
}

TEST(reap_dying_mapper) {
  int fd = make_file("f", 1, bytes);
  int reader = SYS(open("f", O_RDONLY));
  char* watcher = map(fd, bytes, rw, MAP_SHARED);
  for (int i = 0; i < 4; i++) {
    pid_t victim = harness::spawn([&] {
      // Shared for us, but without VM_SHARED for the kernel: these are reaped.
      CHECK_PAGES(map(reader, bytes, PROT_READ, MAP_SHARED), 1, 0, bytes);
      CHECK_PAGES(map(fd, bytes, rw, MAP_SHARED), 1, 0, bytes);
      fill(map(fd, bytes, rw, MAP_PRIVATE), 2, 0, 3 * page);
      ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      raise(SIGSTOP);
      pause();
    });
    int status;
    SYS(waitpid(victim, &status, 0));
    CHECK(WIFSTOPPED(status));
    // It stops once more in the middle of its death, its memory still there.
    SYS(ptrace(PTRACE_SETOPTIONS, victim, nullptr, PTRACE_O_TRACEEXIT));
    int pidfd = int(SYS(syscall(SYS_pidfd_open, victim, 0)));
    SYS(ptrace(PTRACE_CONT, victim, nullptr, nullptr));
    SYS(kill(victim, SIGKILL));
    SYS(waitpid(victim, &status, 0));
    if (!WIFSTOPPED(status)) {
      CHECK(WIFSIGNALED(status));
      SKIP("the victim did not stop at its exit");
    }
    if (syscall(SYS_process_mrelease, pidfd, 0) != 0) {
      if (errno == ENOSYS) SKIP("this kernel has no process_mrelease");
      FAIL("process_mrelease: expected success, seen %s", strerror(errno));
    }
    CHECK_PAGES(watcher, 1, 0, bytes);
    SYS(ptrace(PTRACE_CONT, victim, nullptr, nullptr));
    harness::join_killed(victim, SIGKILL);
    CHECK_FILLED(watcher, 1, 0, bytes);
    close(pidfd);
  }
  if (harness::is_morselfs()) {
    CHECK_EQ(info(fd).mappings, 1);
    CHECK_EQ(info(fd).grafted_bytes, info(fd).self_grafted_bytes);
  }
}

// Without the stop: the reaper and the exit run against each other.
TEST(reap_against_exit) {
  int fd = make_file("f", 1, bytes);
  for (int i = 0; i < 15; i++) {
    auto* gate = shared<Gate>();
    pid_t victim = harness::spawn([&] {
      int reader = SYS(open("f", O_RDONLY));
      for (int maps = 0; maps < 6; maps++)
        CHECK_PAGES(map(reader, bytes, PROT_READ, MAP_SHARED), 1, 0, leaf / 4);
      gate->open();
      pause();
    });
    gate->wait();
    int pidfd = int(SYS(syscall(SYS_pidfd_open, victim, 0)));
    SYS(kill(victim, SIGKILL));
    while (syscall(SYS_process_mrelease, pidfd, 0) != 0 && errno != ESRCH && errno != ENOSYS)
      ;
    harness::join_killed(victim, SIGKILL);
    close(pidfd);
  }
  check_file(fd, 1, 0, bytes);
  if (harness::is_morselfs()) CHECK_EQ(info(fd).mappings, 0);
}
