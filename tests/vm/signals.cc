// SPDX-License-Identifier: MIT
//
// Signals at bad moments: the first mapping of a process registers something with
// the kernel that a signal may interrupt; mmap and fork must not fail of it.
#include <sys/time.h>

#include "memory.h"

namespace {

constexpr size_t bytes = 2 * leaf + 5 * page;

void start_alarms(int microseconds) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  SYS(sigaction(SIGALRM, &action, nullptr));  // without SA_RESTART
  itimerval every{{0, microseconds}, {0, microseconds}};
  SYS(setitimer(ITIMER_REAL, &every, nullptr));
}

}  // namespace

TEST(signals_during_first_mmap) {
  int fd = make_file("f", 1, bytes);
  for (int i = 0; i < 40; i++)
    harness::in_child([&] {  // a fresh address space each time
      start_alarms(50 + i * 20);
      for (int prot : {rw, PROT_READ}) {
        char* m = map(fd, bytes, prot, MAP_SHARED);
        CHECK_PAGES(m, 1, 0, bytes);
        SYS(munmap(m, bytes));
        CHECK_SIGNAL_READ(m, SIGSEGV);
      }
    });
}

TEST(signals_pending_at_mmap) {
  int fd = make_file("f", 1, bytes);
  for (int i = 0; i < 5; i++)
    harness::in_child([&] {
      sigset_t all;
      sigfillset(&all);
      sigprocmask(SIG_BLOCK, &all, nullptr);
      raise(SIGUSR1);
      raise(SIGTERM);
      char* m = map(fd, bytes, rw, MAP_SHARED);
      CHECK_PAGES(m, 1, 0, bytes);
    });
}

TEST(signals_during_fork) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, bytes);
  start_alarms(300);
  for (int i = 0; i < 25; i++) {
    pid_t child;
    while ((child = fork()) < 0) CHECK(errno == EINTR || errno == EAGAIN);
    if (child == 0) {
      CHECK_PAGES(m, 1, 0, bytes);
      CHECK_PAGES(map(fd, bytes, PROT_READ, MAP_SHARED), 1, 0, bytes);
      _exit(0);
    }
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarms, nullptr);
    harness::join(child);
    sigprocmask(SIG_UNBLOCK, &alarms, nullptr);
  }
}

// Killed in the middle of a long write or fallocate: the file has some length that
// was written in order, and the file system goes on.
TEST(signals_kill_a_long_write) {
  for (int i = 0; i < 6; i++) {
    auto* gate = shared<Gate>();
    pid_t child = harness::spawn([&] {
      int fd = SYS(open("long", O_RDWR | O_CREAT | O_TRUNC, 0644));
      char* buffer = map(-1, 8 * leaf, rw, MAP_PRIVATE | MAP_ANONYMOUS);
      fill(buffer, 1, 0, 8 * leaf);
      gate->open();
      for (;;)
        if (i % 2)
          (void)!pwrite(fd, buffer, 8 * leaf, 0);
        else
          (void)!(fallocate(fd, 0, 0, 8 * leaf) + ftruncate(fd, 0));
    });
    gate->wait();
    usleep(useconds_t(500 + i * 1500));
    SYS(kill(child, SIGKILL));
    harness::join_killed(child, SIGKILL);
    int fd = SYS(open("long", O_RDWR));
    struct stat st;
    SYS(fstat(fd, &st));
    CHECK(st.st_size <= off_t(8 * leaf));
    if (i % 2) check_file(fd, 1, 0, size_t(st.st_size) & ~size_t(7));
    SYS(ftruncate(fd, 0));
    SYS(fstat(fd, &st));
    CHECK_EQ(st.st_blocks, 0);
    close(fd);
  }
}

// A signal that is handled ends fallocate early at most; all is as it says.
TEST(signals_handled_during_fallocate) {
  start_alarms(200);
  int fd = make_sparse("f", 0);
  for (int i = 0; i < 10; i++) {
    if (fallocate(fd, 0, 0, 8 * leaf) != 0) CHECK_EQ(errno, EINTR);
    struct stat st;
    SYS(fstat(fd, &st));
    CHECK(st.st_size == 0 || st.st_size == off_t(8 * leaf));
    SYS(ftruncate(fd, 0));
  }
}
