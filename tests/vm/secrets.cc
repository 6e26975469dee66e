// SPDX-License-Identifier: MIT
//
// Nobody sees what the memory held before: new pages are zero by whatever way they
// come into a file, and what was a file's page shows nobody its next owner's data.
// Debian's kernels zero all memory when it is handed out; some cells of run-all turn
// that off (init_on_alloc=0), so that the file system must do it.
#include <atomic>
#include <functional>
#include <vector>

#include <sys/uio.h>

#include "memory.h"

namespace {

constexpr size_t bytes = 2 * leaf + 5 * page;

// Leaves free memory full of other bytes, in single pages and in 2-MiB frames.
void soil() {
  harness::in_child([] {
    char* anonymous = map(-1, 4 * leaf, rw, MAP_PRIVATE | MAP_ANONYMOUS);
    fill(anonymous, 666, 0, 4 * leaf);
  });
  close(make_file("soiled", 667, 3 * leaf));
  SYS(unlink("soiled"));
}

// The file's bytes in [from, to), seen by read(2) and by both kinds of mappings.
void check_zero_everywhere(int fd, size_t from, size_t to) {
  check_file_zero(fd, from, to - from);
  size_t size = (to + page - 1) / page * page;
  for (int prot : {PROT_READ, rw}) {
    char* m = map(fd, size, prot, MAP_SHARED);
    for (size_t at = from; at < to; at++)
      if (m[at]) FAIL("prot %d: expected zero at 0x%zx, seen 0x%x", prot, at, m[at] & 0xff);
    SYS(munmap(m, size));
  }
}

// Each makes a file of `bytes` bytes in which only [100, 110) is not zero.
struct Way {
  const char* name;
  std::function<void(int fd)> make;
};

void write_ten(int fd) { CHECK_EQ(pwrite(fd, "0123456789", 10, 100), 10); }

const Way ways[] = {
    {"holes",
     [](int fd) {
       write_ten(fd);
       SYS(ftruncate(fd, bytes));
     }},
    {"size first",
     [](int fd) {
       SYS(ftruncate(fd, bytes));
       write_ten(fd);
     }},
    {"allocated",
     [](int fd) {
       SYS(fallocate(fd, 0, 0, bytes));
       write_ten(fd);
     }},
    {"allocated beyond the end, then grown",
     [](int fd) {
       write_ten(fd);
       SYS(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes));
       SYS(ftruncate(fd, bytes));
     }},
    {"one byte far out",
     [](int fd) {
       write_ten(fd);
       CHECK_EQ(pwrite(fd, "", 1, bytes - 1), 1);
     }},
    {"appended",
     [](int fd) {
       std::vector<char> zeros(3 * page + 100);
       for (size_t at = 0; at < bytes;) {
         size_t now = zeros.size() < bytes - at ? zeros.size() : bytes - at;
         CHECK_EQ(pwrite(fd, zeros.data(), now, off_t(at)), now);
         at += now;
       }
       write_ten(fd);
     }},
    {"touched by loads",
     [](int fd) {
       SYS(ftruncate(fd, bytes));
       char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
       for (size_t at = 0; at < bytes; at += page) CHECK_ZERO(m + at, 64);
       SYS(munmap(m, bytes));
       write_ten(fd);
     }},
    {"touched by stores",
     [](int fd) {
       SYS(ftruncate(fd, bytes));
       char* m = map(fd, bytes, rw, MAP_SHARED);
       for (size_t at = 0; at < bytes; at += page) *(volatile char*)(m + at) = 0;
       memcpy(m + 100, "0123456789", 10);
       SYS(munmap(m, bytes));
     }},
    {"written to and zeroed",
     [](int fd) {
       write_filled(fd, 1, 0, bytes);
       if (fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, bytes) != 0)  // not every tmpfs can
         SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes));
       write_ten(fd);
     }},
    {"written to and punched in pieces",
     [](int fd) {
       write_filled(fd, 1, 0, bytes);
       for (size_t at = 0; at < bytes; at += 300 * page + 77)
         SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(at), 300 * page + 77));
       write_ten(fd);
     }},
    {"cut off and grown again",
     [](int fd) {
       write_filled(fd, 1, 0, bytes);
       SYS(ftruncate(fd, 1000));
       SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1000));
       write_ten(fd);
       SYS(ftruncate(fd, bytes));
     }},
    {"a copy that broke off",
     [](int fd) {
       char* cut = map(-1, 2 * page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
       SYS(munmap(cut + page, page));
       SYS(ftruncate(fd, bytes));
       for (size_t at : {size_t(0), leaf + 5 * page}) {
         iovec part{cut + page - 1, 2 * page - 1};  // one byte, a zero, is there
         (void)!pwritev(fd, &part, 1, off_t(at));
       }
       write_ten(fd);
       SYS(munmap(cut, page));
     }},
};

// What is behind the end of the file in its last page was dirtied by a mapping.
void dirty_behind_end(int fd, size_t size) {
  char* m = map(fd, page, rw, MAP_SHARED, size / page * page);
  for (size_t at = size % page; at < page; at++) {
    CHECK_EQ(m[at], 0);
    *(volatile char*)(m + at) = 'x';
  }
  SYS(munmap(m, page));
}

}  // namespace

TEST(secrets_new_pages_are_zero) {
  for (const Way& way : ways) {
    soil();
    int fd = SYS(open("f", O_RDWR | O_CREAT | O_EXCL, 0600));
    way.make(fd);
    char seen[10];
    CHECK_EQ(pread(fd, seen, 10, 100), 10);
    if (memcmp(seen, "0123456789", 10) != 0) FAIL("%s: expected the ten bytes written", way.name);
    check_zero_everywhere(fd, 0, 100);
    check_zero_everywhere(fd, 110, bytes);
    close(fd);
    SYS(unlink("f"));
  }
}

TEST(secrets_behind_the_end) {
  if (!harness::is_morselfs()) SKIP("tmpfs shows what mappings left behind the end");
  constexpr size_t sizes[] = {100, page - 1, leaf - 100, leaf + 1, 2 * leaf - page + 7};
  const std::function<void(int, size_t)> growths[] = {
      [](int fd, size_t) { SYS(ftruncate(fd, bytes)); },
      [](int fd, size_t) { SYS(fallocate(fd, 0, bytes - page, page)); },
      [](int fd, size_t) { CHECK_EQ(pwrite(fd, "", 1, bytes - 1), 1); },
      [](int fd, size_t size) {  // in the same page first, leaving a gap
        if ((size + 1) % page) CHECK_EQ(pwrite(fd, "", 1, off_t(size | (page - 1))), 1);
        SYS(ftruncate(fd, bytes));
      },
      [](int fd, size_t size) {
        SYS(ftruncate(fd, off_t(size - 1)));
        SYS(ftruncate(fd, bytes));
      },
  };
  for (size_t size : sizes)
    for (auto& grow : growths) {
      soil();
      int fd = make_file("f", 1, size);
      dirty_behind_end(fd, size);
      grow(fd, size);
      check_zero_everywhere(fd, size, bytes);
      check_file(fd, 1, 0, (size - 1) & ~size_t(7));
      close(fd);
      SYS(unlink("f"));
    }
}

// A file's pages become a process's own memory, which holds a secret, while others
// who mapped the file go on looking where they were.
TEST(secrets_of_the_next_owner) {
  struct Scene {
    std::atomic<int> looking, rounds;
    std::atomic<bool> stop;
  };
  constexpr int watchers = 3;
  int fd = make_file("f", 1, bytes);
  auto* scene = shared<Scene>();
  pid_t children[watchers];
  for (int who = 0; who < watchers; who++)
    children[who] = harness::spawn([&] {
      char* m = map_at(places[who], fd, bytes, who == 1 ? PROT_READ : rw);
      CHECK_PAGES(m, 1, 0, bytes);
      scene->looking++;
      while (!scene->stop) {
        for (size_t at = 0; at < bytes; at += 16 * page) {
          uint64_t seen = 0;
          int signal = probe_read(m + at, &seen);
          if (signal ? signal != SIGBUS : seen && seen != word_at(1, at))
            FAIL("at 0x%zx: expected the old data, zero, or SIGBUS; seen 0x%llx, signal %d", at,
                 (unsigned long long)seen, signal);
        }
        scene->rounds++;
      }
    });
  while (scene->looking < watchers) usleep(500);
  for (int round = 0; round < 6; round++) {
    if (round % 2)
      SYS(ftruncate(fd, 0));
    else
      SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes));
    char* own = map(-1, bytes, rw, MAP_PRIVATE | MAP_ANONYMOUS);
    for (size_t at = 0; at < bytes; at += page) fill(own + at, 99, at, 128);
    for (int seen = scene->rounds; scene->rounds < seen + 2 * watchers;) usleep(200);
    SYS(munmap(own, bytes));
    write_filled(fd, 1, 0, bytes);
  }
  scene->stop = true;
  for (pid_t child : children) harness::join(child);
}
