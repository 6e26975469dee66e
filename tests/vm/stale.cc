// SPDX-License-Identifier: MIT
//
// No access through a translation that is gone. Threads and another process read
// and write without a pause while the mapping or the data below it is taken away
// and the memory is given to another file.
#include <atomic>
#include <thread>
#include <vector>

#include <sched.h>

#include "memory.h"

namespace {

struct Shape {
  size_t bytes;
  std::vector<size_t> spots;
};
// Many translations; a few large ones, if the file gets large leaves; a few small ones. Few are
// forgotten one by one.
const Shape shapes[] = {
    {3 * leaf + 5 * page,
     {0, page, leaf - page, leaf + 17 * page, 2 * leaf, 2 * leaf + page, 3 * leaf + 2 * page}},
    {2 * leaf, {0, leaf - page, leaf, 2 * leaf - page}},
    {9 * page, {0, 4 * page, 8 * page}},
};
const Shape* shape = shapes;

size_t bytes() { return shape->bytes; }
const std::vector<size_t>& spots() { return shape->spots; }

template <class F>
void everywhere(F&& body) {
  for (const Shape& one : shapes)
    for (Place place : places) {
      shape = &one;
      body(place);
    }
}

// A file that has contents at the spots and holes elsewhere.
void write_spots(int fd, uint64_t seed) {
  for (size_t at : spots()) write_filled(fd, seed, at, page);
}
void check_spots(int fd, uint64_t seed) {
  for (size_t at : spots()) check_file(fd, seed, at, page);
}
int make_spotted(const char* name, uint64_t seed) {
  int fd = make_sparse(name, bytes());
  write_spots(fd, seed);
  return fd;
}

// What a watcher needs, shared between processes.
struct Scene {
  std::atomic<int> watchers;  // that have read something
  std::atomic<bool> gone;     // the change has returned
  std::atomic<int> after;     // rounds of all spots since
  std::atomic<bool> stop;

  void wait_for_watchers(int count) {
    while (watchers < count) sched_yield();
  }
  // Lets the watchers look for a while at what they must not see.
  void linger(int count) {
    gone = true;
    while (after < 12 * count) sched_yield();
    stop = true;
  }
};

// Reads all spots again and again: contents 1 before the change, or what `good`
// (value, signal, offset) allows; after the change only that.
template <class F>
void watch(Scene& scene, const char* m, F&& good) {
  bool first = true;
  while (!scene.stop) {
    bool was_gone = scene.gone;
    for (size_t at : spots()) {
      uint64_t seen = 0;
      int signal = probe_read(m + at, &seen);
      if (good(seen, signal, at)) continue;
      if (was_gone)
        FAIL("stale read at 0x%zx after the change: signal %d, value 0x%llx", at, signal,
             (unsigned long long)seen);
      if (signal || seen != word_at(1, at))
        FAIL("read at 0x%zx: expected the old or the new, signal %d, value 0x%llx", at, signal,
             (unsigned long long)seen);
    }
    if (first) scene.watchers++;
    first = false;
    if (was_gone) scene.after++;
  }
}

bool faults_with_segv(uint64_t, int signal, size_t) { return signal == SIGSEGV; }
bool faults_with_bus(uint64_t, int signal, size_t) { return signal == SIGBUS; }
bool reads_zero(uint64_t value, int signal, size_t) { return !signal && !value; }
bool reads_other(uint64_t value, int signal, size_t at) {
  return !signal && value == word_at(2, at);
}

// Takes frames as they become free, and fills them with contents 2.
void reuse_memory() {
  int fd = make_file("reuse", 2, leaf + leaf / 2);
  close(fd);
  SYS(unlink("reuse"));
}

// `change` is made to a mapping of this process while a thread reads in it.
template <class Good, class Change>
void in_thread(int prot, Good good, Change change) {
  everywhere([&](Place place) {
    int fd = make_spotted("f", 1);
    char* m = map_at(place, fd, bytes(), prot);
    auto* scene = shared<Scene>();
    std::thread watcher([&] { watch(*scene, m, good); });
    scene->wait_for_watchers(1);
    change(fd, m);
    scene->gone = true;
    reuse_memory();
    scene->linger(1);
    watcher.join();
    munmap(m, mapped_bytes(place, bytes()));
    munmap(scene, sizeof *scene);
    close(fd);
    SYS(unlink("f"));
  });
}

// `change` is made to the file while a thread, a child, and a child that maps the
// file read-only read in it.
template <class Good, class Change>
void in_everyone(Good good, Change change) {
  everywhere([&](Place place) {
    int fd = make_spotted("f", 1);
    char* m = map_at(place, fd, bytes(), rw);
    auto* scene = shared<Scene>();
    pid_t inherits = harness::spawn([&] { watch(*scene, m, good); });
    pid_t maps =
        harness::spawn([&] { watch(*scene, map_at(place, fd, bytes(), PROT_READ), good); });
    std::thread watcher([&] { watch(*scene, m, good); });
    scene->wait_for_watchers(3);
    change(fd);
    scene->gone = true;
    reuse_memory();
    scene->linger(3);
    watcher.join();
    harness::join(inherits);
    harness::join(maps);
    munmap(m, mapped_bytes(place, bytes()));
    munmap(scene, sizeof *scene);
    close(fd);
    SYS(unlink("f"));
  });
}

// A thread stores without a pause; what it stores must not reach the memory's
// next owner. `good` tells which signals a store may end with.
template <class Change>
void with_writer(int expected_signal, Change change) {
  everywhere([&](Place place) {
    int fd = make_spotted("f", 1);
    char* m = map_at(place, fd, bytes(), rw);
    auto* scene = shared<Scene>();
    std::thread writer([&] {
      while (!scene->stop) {
        bool was_gone = scene->gone;
        for (size_t at : spots()) {
          int signal = probe_write(m + at, 0xbad);
          if (was_gone && signal != expected_signal)
            FAIL("store at 0x%zx: expected signal %d, seen %d", at, expected_signal, signal);
        }
        scene->watchers++;
        if (was_gone) scene->after++;
      }
    });
    scene->wait_for_watchers(1);
    change(fd, m);
    int other = make_file("g", 2, leaf + leaf / 2);  // perhaps in the same memory
    scene->linger(1);
    check_file(other, 2, 0, leaf + leaf / 2);
    writer.join();
    munmap(m, mapped_bytes(place, bytes()));
    close(fd);
    close(other);
    SYS(unlink("f"));
    SYS(unlink("g"));
  });
}

void discard(int fd) { SYS(ftruncate(fd, 0)); }
void punch(int fd) { SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes())); }

}  // namespace

TEST(stale_read_after_munmap) {
  for (int prot : {rw, PROT_READ})
    in_thread(prot, faults_with_segv, [](int fd, char* m) {
      SYS(munmap(m, bytes()));
      discard(fd);
    });
}

TEST(stale_read_after_partial_munmaps) {
  in_thread(rw, faults_with_segv, [](int fd, char* m) {
    const size_t third = bytes() / page / 3 * page;
    SYS(munmap(m + third, third));
    SYS(munmap(m, third));
    SYS(munmap(m + 2 * third, bytes() - 2 * third));
    discard(fd);
  });
}

TEST(stale_read_after_protection) {
  in_thread(rw, faults_with_segv, [](int fd, char* m) {
    SYS(mprotect(m, bytes(), PROT_NONE));
    discard(fd);
  });
}

TEST(stale_read_after_move) {
  in_thread(rw, faults_with_segv, [](int fd, char* m) {
    char* to = reserve(bytes(), leaf);
    CHECK(mremap(m, bytes(), bytes(), MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
    for (size_t at : spots()) CHECK_FILLED(to + at, 1, at, page);
    SYS(munmap(to, bytes()));
    discard(fd);
  });
}

TEST(stale_read_after_replacement) {
  in_thread(PROT_READ, reads_other, [](int fd, char* m) {
    int other = make_spotted("g", 2);
    map(other, bytes(), PROT_READ, MAP_SHARED | MAP_FIXED, 0, m);
    close(other);
    SYS(unlink("g"));
    discard(fd);
  });
}

TEST(stale_read_after_truncate) { in_everyone(faults_with_bus, discard); }
TEST(stale_read_after_punch) { in_everyone(reads_zero, punch); }

TEST(stale_read_after_zero_range) {
  in_everyone(reads_zero, [](int fd) {
    if (fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, bytes()) != 0) punch(fd);  // not every tmpfs can
  });
}

TEST(stale_store_after_munmap) {
  with_writer(SIGSEGV, [](int fd, char* m) {
    SYS(munmap(m, bytes()));
    discard(fd);
  });
}

TEST(stale_store_after_truncate) {
  with_writer(SIGBUS, [](int fd, char*) { discard(fd); });
}

// Stores go on, into fresh pages of the file; never into the old ones.
TEST(stale_store_after_punch) {
  with_writer(0, [](int fd, char*) { punch(fd); });
}

TEST(stale_store_after_protection) {
  for (int prot : {PROT_READ, PROT_NONE})
    with_writer(SIGSEGV, [=](int fd, char* m) {
      SYS(mprotect(m, bytes(), prot));
      write_spots(fd, 3);
      for (int i = 0; i < 20; i++) sched_yield();
      check_spots(fd, 3);  // no store came after
    });
}

// The stack of translations of another CPU, with another process running there in
// between: the mapper sleeps while its mapping's data is taken away.
TEST(stale_read_after_sleep) {
  everywhere([&](Place place) {
    int fd = make_spotted("f", 1);
    auto* gates = static_cast<Gate*>(shared_memory(2 * sizeof(Gate)));
    pid_t children[4];
    for (pid_t& child : children)
      child = harness::spawn([&] {
        char* m = map_at(place, fd, bytes(), PROT_READ);
        for (size_t at : spots()) CHECK_FILLED(m + at, 1, at, page);
        gates[0].open();
        gates[1].wait();
        for (size_t at : spots()) CHECK_SIGNAL_READ(m + at, SIGBUS);
      });
    gates[0].wait(4);
    discard(fd);
    reuse_memory();
    gates[1].open();
    for (pid_t child : children) harness::join(child);
    close(fd);
    SYS(unlink("f"));
  });
}
