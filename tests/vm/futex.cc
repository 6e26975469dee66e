// SPDX-License-Identifier: MIT
//
// Futexes between processes in a shared mapping: what process-shared mutexes and
// condition variables are made of.
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include "memory.h"

namespace {

constexpr size_t bytes = 2 * leaf + 5 * page;
constexpr size_t spots[] = {0, 5 * page + 64, leaf - 4, leaf + 77 * page, 2 * leaf + 4 * page};

long futex(void* at, int operation, uint32_t value, const timespec* timeout = nullptr) {
  return syscall(SYS_futex, at, operation, value, timeout, nullptr, 0);
}

struct Locked {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  long count;
};

}  // namespace

// One waits in a mapping of its own, another wakes it by its mapping.
TEST(futex_between_processes) {
  int fd = make_file("f", 1, bytes);
  for (Place place : places)
    for (size_t spot : spots) {
      char* m = map(fd, bytes, rw, MAP_SHARED);
      auto* word = reinterpret_cast<uint32_t*>(m + spot);
      *word = 1;
      pid_t waiter = harness::spawn([&] {
        char* own = map_at(place, fd, bytes, rw);
        auto* here = reinterpret_cast<volatile uint32_t*>(own + spot);
        while (*here == 1)
          if (futex(own + spot, FUTEX_WAIT, 1) != 0) CHECK(errno == EAGAIN || errno == EINTR);
      });
      for (;;) {
        long woken = SYS(futex(word, FUTEX_WAKE, 1));
        if (woken == 1) break;
        usleep(500);
      }
      *word = 2;
      SYS(futex(word, FUTEX_WAKE, INT32_MAX));
      harness::join(waiter);
      SYS(munmap(m, bytes));
    }
}

// A waiter may look through a read-only mapping.
TEST(futex_in_a_read_only_mapping) {
  int fd = make_file("f", 1, bytes), reader = SYS(open("f", O_RDONLY));
  char* m = map(fd, bytes, rw, MAP_SHARED);
  for (size_t spot : spots) {
    auto* word = reinterpret_cast<uint32_t*>(m + spot);
    *word = 1;
    pid_t waiter = harness::spawn([&] {
      char* own = map(reader, bytes, PROT_READ, MAP_SHARED);
      auto* here = reinterpret_cast<volatile uint32_t*>(own + spot);
      while (*here == 1)
        if (futex(own + spot, FUTEX_WAIT, 1) != 0) CHECK(errno == EAGAIN || errno == EINTR);
    });
    while (SYS(futex(word, FUTEX_WAKE, 1)) != 1) usleep(500);
    *word = 2;
    SYS(futex(word, FUTEX_WAKE, INT32_MAX));
    harness::join(waiter);
  }
}

// Two files, two offsets: nobody is woken by the wrong one.
TEST(futex_of_another_page) {
  int fd = make_file("f", 1, bytes), other = make_file("g", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  char* n = map(other, bytes, rw, MAP_SHARED);
  auto* done = shared<Gate>();
  auto* word = reinterpret_cast<uint32_t*>(m + leaf + page);
  *word = 1;
  pid_t waiter = harness::spawn([&] {
    while (*static_cast<volatile uint32_t*>(word) == 1)
      if (futex(word, FUTEX_WAIT, 1) != 0) CHECK(errno == EAGAIN || errno == EINTR);
    done->open();
  });
  for (int i = 0; i < 50; i++) {
    CHECK_EQ(futex(n + leaf + page, FUTEX_WAKE, 1), 0);
    CHECK_EQ(futex(m + leaf, FUTEX_WAKE, 1), 0);
    CHECK_EQ(futex(m + leaf + 2 * page, FUTEX_WAKE, 1), 0);
  }
  while (SYS(futex(word, FUTEX_WAKE, 1)) != 1) usleep(500);
  *word = 2;
  SYS(futex(word, FUTEX_WAKE, 1));
  done->wait();
  harness::join(waiter);
}

TEST(futex_mutex_under_contention) {
  constexpr int processes = 4, rounds = 50;
  int fd = make_sparse("f", bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  auto* locked = reinterpret_cast<Locked*>(m + leaf + 3 * page);
  pthread_mutexattr_t mutex;
  pthread_condattr_t condition;
  pthread_mutexattr_init(&mutex);
  pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
  pthread_condattr_init(&condition);
  pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
  CHECK_EQ(pthread_mutex_init(&locked->mutex, &mutex), 0);
  CHECK_EQ(pthread_cond_init(&locked->changed, &condition), 0);
  pid_t children[processes];
  for (int who = 0; who < processes; who++)
    children[who] = harness::spawn([&] {
      char* own = map_at(places[who % 3], fd, bytes, rw);
      auto* here = reinterpret_cast<Locked*>(own + leaf + 3 * page);
      for (int i = 0; i < rounds; i++) {  // in turn
        CHECK_EQ(pthread_mutex_lock(&here->mutex), 0);
        while (here->count % processes != who)
          CHECK_EQ(pthread_cond_wait(&here->changed, &here->mutex), 0);
        here->count++;
        CHECK_EQ(pthread_cond_broadcast(&here->changed), 0);
        CHECK_EQ(pthread_mutex_unlock(&here->mutex), 0);
      }
    });
  for (pid_t child : children) harness::join(child);
  CHECK_EQ(locked->count, processes * rounds);
  // Who dies with the lock leaves it to the next.
  harness::join_killed(harness::spawn([&] {
                         pthread_mutex_lock(&locked->mutex);
                         raise(SIGKILL);
                       }),
                       SIGKILL);
  CHECK_EQ(pthread_mutex_lock(&locked->mutex), EOWNERDEAD);
  CHECK_EQ(pthread_mutex_consistent(&locked->mutex), 0);
  CHECK_EQ(pthread_mutex_unlock(&locked->mutex), 0);
}

// The page of a waiter goes: it sleeps on, and others come and go.
TEST(futex_across_truncate) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  auto* word = reinterpret_cast<uint32_t*>(m + leaf + page);
  *word = 1;
  pid_t waiter = harness::spawn([&] {
    (void)!futex(word, FUTEX_WAIT, 1);
    pause();
  });
  usleep(20000);
  SYS(ftruncate(fd, 0));
  CHECK(futex(word, FUTEX_WAKE, 1) == -1 && errno == EFAULT);
  int other = make_file("g", 2, bytes);
  SYS(ftruncate(fd, bytes));
  SYS(futex(word, FUTEX_WAKE, 1));
  check_file(other, 2, 0, bytes);
  SYS(kill(waiter, SIGKILL));
  harness::join_killed(waiter, SIGKILL);
}
