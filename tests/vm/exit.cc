// SPDX-License-Identifier: MIT
//
// Processes that end while they have files mapped.
#include "memory.h"

#include <pthread.h>
#include <sys/wait.h>

namespace {

constexpr size_t bytes = 4 * leaf + 5 * page;

void map_in_every_way(int fd, uint64_t seed) {
  char* a = map(fd, bytes, rw, MAP_SHARED);
  char* b = map(fd, bytes, PROT_READ, MAP_SHARED);
  char* c = map(fd, bytes, rw, MAP_PRIVATE);
  CHECK_FILLED(a, seed, 0, page);
  CHECK_FILLED(b + 2 * leaf, seed, 2 * leaf, page);
  fill(c + page, 9, page, page);
  SYS(munmap(a + leaf, page));
  SYS(mprotect(a + 3 * leaf, page, PROT_READ));
}

// With morselfs: nothing stays grafted. Grafts go with the address space, which
// is gone when the process can be waited for.
void check_no_mapping_left(int fd) {
  if (!harness::is_morselfs()) return;
  morselfs_info left = info(fd);
  CHECK_EQ(left.mappings, 0);
  CHECK_EQ(left.grafted_bytes, 0);
  CHECK_EQ(left.graft_pud_slots + left.graft_pmd_slots + left.raw_pages, 0);
}

}  // namespace

TEST(exit_mapped) {
  int fd = make_file("f", 1, bytes);
  for (int i = 0; i < 10; i++) harness::in_child([&] { map_in_every_way(fd, 1); });
  check_no_mapping_left(fd);
  check_file(fd, 1, 0, bytes);
}

TEST(exit_two_hundred_mappers) {
  int fd = make_file("f", 1, bytes);
  for (int wave = 0; wave < 8; wave++) {
    pid_t children[25];
    for (pid_t& child : children) child = harness::spawn([&] { map_in_every_way(fd, 1); });
    for (pid_t child : children) harness::join(child);
  }
  check_no_mapping_left(fd);
  check_file(fd, 1, 0, bytes);
}

TEST(exit_sigkill_storm) {
  int fd = make_file("f", 1, bytes);
  // Eight waves of busy processes took ten minutes under KASAN, on a host that was busy, too.
  const int waves = harness::slowness() > 1 ? 2 : 8;
  for (int wave = 0; wave < waves; wave++) {
    pid_t children[25];
    auto* ready = shared<Gate>();
    for (pid_t& child : children)
      child = harness::spawn([&] {
        ready->open();
        for (;;) {  // killed somewhere in here
          map_in_every_way(fd, 1);
          munmap(map(fd, bytes, rw, MAP_SHARED | MAP_POPULATE), bytes);
        }
      });
    ready->wait(10 + wave);  // some have mapped a lot by now, some nothing
    for (pid_t child : children) kill(child, SIGKILL);
    for (pid_t child : children) harness::join_killed(child, SIGKILL);
    munmap(ready, sizeof *ready);
  }
  check_no_mapping_left(fd);
  check_file(fd, 1, 0, bytes);
}

TEST(exit_file_is_gone_before_mapper) {
  for (int i = 0; i < 5; i++) {
    int fd = make_file("f", 1, bytes);
    pid_t child = harness::spawn([&] {
      char* m = map(fd, bytes, rw, MAP_SHARED);
      close(fd);
      SYS(unlink("f"));
      CHECK_FILLED(m, 1, 0, bytes);
      kill(getpid(), SIGKILL);  // the last user of the file dies mapped
    });
    close(fd);
    harness::join_killed(child, SIGKILL);
  }
}

TEST(exit_of_a_thread_group) {
  static int fd;
  fd = make_file("f", 1, bytes);
  for (int i = 0; i < 10; i++) {
    pid_t child = harness::spawn([&] {
      static char* m;
      m = map(fd, bytes, rw, MAP_SHARED);
      for (int t = 0; t < 3; t++) {
        pthread_t thread;
        pthread_create(
            &thread, nullptr,
            [](void*) -> void* {
              for (size_t at = 0;; at = (at + 3 * page) % bytes)
                if (*reinterpret_cast<volatile uint64_t*>(m + at) != word_at(1, at))
                  FAIL("expected contents 1 at 0x%zx", at);
            },
            nullptr);
      }
      usleep(2000);
      _exit(0);  // while the threads run in the mapping
    });
    harness::join(child);
  }
  check_no_mapping_left(fd);
}

TEST(exit_by_a_fault_in_the_mapping) {
  int fd = make_file("f", 1, bytes);
  for (int i = 0; i < 4; i++) {
    harness::join_killed(harness::spawn([&] {
                           char* m = map(fd, bytes + leaf, rw, MAP_SHARED);
                           m[bytes + page] = 1;
                         }),
                         SIGBUS);
    harness::join_killed(harness::spawn([&] {
                           char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
                           m[leaf] = 1;
                         }),
                         SIGSEGV);
  }
  check_no_mapping_left(fd);
  check_file(fd, 1, 0, bytes);
}
