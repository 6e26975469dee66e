// SPDX-License-Identifier: MIT
//
// fork, vfork, clone, exec with mapped files.
#include "memory.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

namespace {
constexpr size_t bytes = 4 * leaf + 5 * page;
}

TEST(fork_uses_mapping_in_child) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, bytes);
  harness::in_child([&] {
    CHECK_FILLED(m, 1, 0, bytes);
    fill(m, 2, 0, bytes);
  });
  CHECK_FILLED(m, 2, 0, bytes);
  check_file(fd, 2, 0, bytes);
}

TEST(fork_before_first_touch) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
  harness::in_child([&] {
    CHECK_FILLED(r, 1, 0, bytes);
    fill(m, 2, 0, bytes);
    CHECK_FILLED(r, 2, 0, bytes);
  });
  CHECK_FILLED(m, 2, 0, bytes);
  CHECK_FILLED(r, 2, 0, bytes);
}

TEST(fork_generations) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  fill(m, 10, 0, page);
  struct Generation {
    static void live(char* m, unsigned depth) {
      CHECK_FILLED(m, 10 + depth, 0, page);
      CHECK_FILLED(m + page, 1, page, leaf);
      if (depth == 6) return;
      fill(m, 11 + depth, 0, page);
      harness::in_child([=] { live(m, depth + 1); });
      CHECK_FILLED(m, 16, 0, page);
    }
  };
  Generation::live(m, 0);
}

TEST(fork_child_unmaps_parent_keeps) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, bytes);
  harness::in_child([&] {
    SYS(munmap(m + leaf, page));
    CHECK_FILLED(m, 1, 0, leaf);
    SYS(munmap(m, bytes));
    CHECK_SIGNAL_READ(m, SIGSEGV);
  });
  CHECK_FILLED(m, 1, 0, bytes);
  pid_t child = harness::spawn([&] {
    usleep(20000);
    CHECK_FILLED(m, 1, 0, bytes);  // the other way round
  });
  SYS(munmap(m, bytes));
  harness::join(child);
}

TEST(fork_heavy) {
  int fd = make_file("f", 1, bytes);
  char* s = map(fd, bytes, rw, MAP_SHARED);
  char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
  char* p = map(fd, bytes, rw, MAP_PRIVATE);
  fill(p, 2, 0, 3 * page);
  constexpr int waves = 4, width = 12;
  for (int wave = 0; wave < waves; wave++) {
    pid_t children[width];
    for (int i = 0; i < width; i++)
      children[i] = harness::spawn([&, i] {
        size_t at = leaf + size_t(wave * width + i) * 2 * page;
        fill(s + at, 100 + uint64_t(i), at, page);
        CHECK_FILLED(p, 2, 0, 3 * page);
        CHECK_FILLED(r, 1, 0, leaf);
        if (i % 3 == 0) SYS(munmap(r, bytes));
        if (i % 3 == 1) harness::in_child([&] { CHECK_FILLED(s + 3 * leaf, 1, 3 * leaf, leaf); });
      });
    for (pid_t child : children) harness::join(child);
  }
  for (int i = 0; i < waves * width; i++)
    CHECK_FILLED(r + leaf + size_t(i) * 2 * page, 100 + uint64_t(i % width),
                 leaf + size_t(i) * 2 * page, page);
  CHECK_FILLED(p, 2, 0, 3 * page);
}

// fork runs while other threads touch, map and unmap.
TEST(fork_against_threads) {
  static char* m;
  static int fd;
  static volatile bool stop;
  fd = make_file("f", 1, bytes);
  m = map(fd, bytes, rw, MAP_SHARED);
  pthread_t toucher, mapper;
  pthread_create(
      &toucher, nullptr,
      [](void*) -> void* {
        while (!stop)
          for (size_t at = 0; at < bytes && !stop; at += 17 * page)
            if (*reinterpret_cast<volatile uint64_t*>(m + at) != word_at(1, at))
              FAIL("expected contents 1 at 0x%zx", at);
        return nullptr;
      },
      nullptr);
  pthread_create(
      &mapper, nullptr,
      [](void*) -> void* {
        while (!stop) {
          char* other = map(fd, bytes, PROT_READ, MAP_SHARED);
          CHECK_FILLED(other + leaf, 1, leaf, page);
          // No hole, or another thread's mapping may come to lie in it.
          map(-1, leaf, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0, other + page);
          SYS(munmap(other, bytes));
        }
        return nullptr;
      },
      nullptr);
  for (int i = 0; i < 25; i++) {
    harness::in_child([&] {
      CHECK_FILLED(m + leaf - page, 1, leaf - page, 2 * page);
      CHECK_FILLED(m + bytes - page, 1, bytes - page, page);
    });
  }
  stop = true;
  pthread_join(toucher, nullptr);
  pthread_join(mapper, nullptr);
  CHECK_FILLED(m, 1, 0, bytes);
}

// The child runs in this address space until it becomes another program: this same
// one, which exits with 2 when it is not told what to do.
__attribute__((noinline)) static pid_t vfork_and_exec(char* m, char stored, volatile bool* right) {
  pid_t pid = vfork();
  if (pid == 0) {
    // NOLINTNEXTLINE(clang-analyzer-unix.Vfork): stores are what is tested
    *right = *reinterpret_cast<volatile uint64_t*>(m + leaf) == word_at(1, leaf);
    m[0] = stored;
    execl("/proc/self/exe", "again", "--quiet", nullptr);
    _exit(99);
  }
  return pid;
}

TEST(fork_vfork_and_exec) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_FILLED(m, 1, 0, bytes);
  for (int i = 0; i < 5; i++) {
    volatile bool was_right = false;
    pid_t pid = vfork_and_exec(m, char(i), &was_right);
    int status;
    SYS(waitpid(pid, &status, 0));
    CHECK(was_right);
    CHECK_EQ(WEXITSTATUS(status), 2);
    CHECK_EQ(m[0], i);
    CHECK_FILLED(m + 8, 1, 8, bytes - 8);
  }
}

TEST(fork_exec_drops_mappings) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  for (int i = 0; i < 5; i++) {
    pid_t pid = harness::spawn([&] {
      fill(m, 5, 0, page);
      char* mine = map(fd, bytes, PROT_READ, MAP_SHARED);
      CHECK_FILLED(mine, 5, 0, page);
      execl("/proc/self/exe", "again", "--quiet", nullptr);
    });
    int status;
    SYS(waitpid(pid, &status, 0));
    CHECK_EQ(WEXITSTATUS(status), 2);
  }
  CHECK_FILLED(m, 5, 0, page);
  CHECK_FILLED(m + page, 1, page, bytes - page);
}

// A process that shares the address space, not as a thread: it maps and unmaps,
// and the other sees it; its death leaves the mappings in place.
TEST(fork_shared_address_space) {
  static int fd;
  static char *mine, *from_child;
  fd = make_file("f", 1, bytes);
  mine = reserve(bytes, leaf);
  from_child = reserve(bytes, leaf, page);
  char* stack = map(-1, 256 << 10, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  for (int i = 0; i < 10; i++) {
    map(fd, bytes, rw, MAP_SHARED | MAP_FIXED, 0, mine);
    int pid = SYS(clone(
        [](void*) -> int {
          CHECK_FILLED(mine, 1, 0, 3 * page);
          SYS(munmap(mine, leaf));
          map(fd, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, 0, from_child);
          return differs(from_child, 1, 0, page) == page ? 0 : 1;
        },
        stack + (256 << 10), CLONE_VM | SIGCHLD, nullptr));
    harness::join(pid);
    CHECK_SIGNAL_READ(mine, SIGSEGV);
    CHECK_PAGES(mine + leaf, 1, leaf, bytes - leaf);
    CHECK_PAGES(from_child, 1, 0, bytes);
    SYS(munmap(from_child, bytes));
  }
}

TEST(fork_threads_map_and_unmap) {
  static int fd;
  static size_t numbers[] = {0, 1, 2, 3};
  fd = make_file("f", 1, bytes);
  pthread_t threads[4];
  for (size_t i = 0; i < 4; i++)
    pthread_create(
        &threads[i], nullptr,
        [](void* number) -> void* {
          size_t mine = *static_cast<size_t*>(number);
          for (size_t round = 0; round < 12; round++) {
            char* m = map(fd, bytes, round % 2 ? rw : PROT_READ, MAP_SHARED);
            CHECK_FILLED(m + mine * leaf, 1, mine * leaf, 5 * page);
            map(-1, (round + 1) * leaf / 4, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0,
                m + mine * page);
            CHECK_FILLED(m + bytes - page, 1, bytes - page, page);
            SYS(munmap(m, bytes));
          }
          return nullptr;
        },
        &numbers[i]);
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
  check_file(fd, 1, 0, bytes);
}
