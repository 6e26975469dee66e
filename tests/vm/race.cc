// SPDX-License-Identifier: MIT
//
// Kernel code that walks page tables without telling anybody, while the data is
// taken away: MADV_COLD and PAGEOUT, and the readers in /proc.
#include <atomic>
#include <thread>
#include <vector>

#include <memory>

#include <sys/uio.h>

#include "memory.h"

namespace {

constexpr size_t bytes = 3 * leaf + 9 * page;
constexpr int madv_pageout = 21;

// Runs `walk` in threads until `change` has been made `times` times, each after
// the file was filled again. After a change `check` looks at the mapping, while
// the walkers still walk.
template <class Walk, class Change, class Check>
void against_at(Place place, int times, Walk walk, Change change, Check check) {
  int fd = make_file("f", 1, bytes);
  char* m = map_at(place, fd, bytes, rw);
  char* r = map_at(place, fd, bytes, PROT_READ);
  std::atomic<bool> stop{false};
  std::atomic<int> walks{0};
  std::vector<std::thread> walkers;
  for (char* at : {m, r})
    walkers.emplace_back([&, at] {
      while (!stop) {
        walk(at);
        walks++;
      }
    });
  for (int i = 0; i < times; i++) {
    SYS(ftruncate(fd, bytes));
    write_filled(fd, 1, 0, bytes);
    CHECK_PAGES(r, 1, 0, bytes);
    for (int seen = walks; walks < seen + 2;) usleep(100);
    change(fd);
    int other = make_file("g", 2, leaf);  // takes freed memory
    check(m);
    check(r);
    for (int seen = walks; walks < seen + 2;) usleep(100);
    check(m);
    check(r);
    check_file(other, 2, 0, leaf);
    close(other);
    SYS(unlink("g"));
  }
  stop = true;
  for (auto& walker : walkers) walker.join();
  SYS(munmap(m, mapped_bytes(place, bytes)));
  SYS(munmap(r, mapped_bytes(place, bytes)));
  close(fd);
  SYS(unlink("f"));
}

// The walkers walk over 2-MiB slots that come and go, and over tables below 1-GiB slots.
template <class Walk, class Change, class Check>
void against(int times, Walk walk, Change change, Check check) {
  for (Place place : {Place::fits, Place::slot}) against_at(place, times, walk, change, check);
}

void punch(int fd) {
  SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page, 2 * leaf));
}
void is_punched(const char* m) {
  CHECK_FILLED(m, 1, 0, page);
  for (size_t at = page; at < 2 * leaf + page; at += 16 * page) CHECK_ZERO(m + at, 16);
  CHECK_FILLED(m + 2 * leaf + page, 1, 2 * leaf + page, page);
}
void cut_off(int fd) { SYS(ftruncate(fd, leaf + 3 * page)); }
void is_truncated(const char* m) {
  CHECK_FILLED(m, 1, 0, page);
  CHECK_FILLED(m + leaf, 1, leaf, 3 * page);
  for (size_t at : {leaf + 3 * page, 2 * leaf, 3 * leaf, bytes - page})
    CHECK_SIGNAL_READ(m + at, SIGBUS);
}

void advise_cold(char* m) { (void)!madvise(m, bytes, MADV_COLD); }
void advise_pageout(char* m) { (void)!madvise(m, bytes, madv_pageout); }
void advise_parts(char* m) {
  for (size_t at = 0; at < bytes; at += 100 * page) (void)!madvise(m + at, 3 * page, MADV_COLD);
}

void read_pagemap(char* m) {
  static const int fd = SYS(open("/proc/self/pagemap", O_RDONLY));
  auto entries = std::make_unique<uint64_t[]>(bytes / page);
  SYS(pread(fd, entries.get(), bytes / page * 8, off_t(uintptr_t(m) / page * 8)));
}

void read_whole(const char* path) {
  int fd = SYS(open(path, O_RDONLY | O_CLOEXEC));
  char buffer[8192];
  while (read(fd, buffer, sizeof buffer) > 0)
    ;
  close(fd);
}
void read_smaps(char*) {
  read_whole("/proc/self/smaps");
  read_whole("/proc/self/smaps_rollup");
}
void read_numa_maps(char*) {
  if (access("/proc/self/numa_maps", R_OK) == 0) read_whole("/proc/self/numa_maps");
}
void call_mincore(char* m) {
  auto resident = std::make_unique<unsigned char[]>(bytes / page);
  (void)!mincore(m, bytes, resident.get());
}
void clear_soft_dirty(char*) {
  int fd = SYS(open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC));
  for (const char* which : {"1", "3", "4"}) (void)!write(fd, which, 1);
  close(fd);
}

}  // namespace

// The shortest walks against the shortest un-grafts: a walker that looks at an entry
// twice must not find it gone in between.
template <class Walk>
static void short_walks(size_t times, Walk walk) {
  int fd = make_file("f", 1, bytes);
  char* m = map_at(Place::fits, fd, bytes, rw);
  std::atomic<bool> stop{false};
  std::atomic<int> walks{0};
  std::vector<std::thread> walkers;
  walkers.reserve(2);
  for (int who = 0; who < 2; who++)
    walkers.emplace_back([&] {
      while (!stop) {
        walk(m + leaf);
        walks++;
      }
    });
  // What is one page for the data is the whole mapping for the grafts.
  for (size_t i = 0; i < times; i++) {
    size_t at = leaf + i % 512 * page;
    if (i % 8 == 0) {
      SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(at), page));
      CHECK_EQ(*reinterpret_cast<volatile uint64_t*>(m + at), 0);
    } else {
      SYS(madvise(m + 2 * leaf, page, MADV_DONTNEED));
      CHECK_EQ(*reinterpret_cast<volatile uint64_t*>(m + 2 * leaf), word_at(1, 2 * leaf));
    }
  }
  while (walks < 10) usleep(100);
  stop = true;
  for (auto& walker : walkers) walker.join();
}

TEST(race_short_walks_cold) {
  short_walks(150, [](char* m) { (void)!madvise(m, page, MADV_COLD); });
}
TEST(race_short_walks_mincore) {
  short_walks(200, [](char* m) {
    unsigned char resident;
    (void)!mincore(m, page, &resident);
  });
}
TEST(race_short_walks_pagemap) {
  static const int fd = SYS(open("/proc/self/pagemap", O_RDONLY));
  short_walks(200, [](char* m) {
    uint64_t entry;
    (void)!pread(fd, &entry, 8, off_t(uintptr_t(m) / page * 8));
  });
}
TEST(race_short_walks_get_user_pages) {
  short_walks(1500, [](char* m) {
    uint64_t word = 0;
    iovec local{&word, 8}, remote{m, 8};
    CHECK_EQ(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), 8);
    if (word && word != word_at(1, leaf)) FAIL("read 0x%llx", (unsigned long long)word);
  });
}
TEST(race_short_walks_faults) {  // a store fault through the kernel's own copy
  static const int zero = SYS(open("/dev/zero", O_RDONLY));
  short_walks(300, [](char* m) { CHECK_EQ(read(zero, m + page / 2, 8), 8); });
}

TEST(race_cold_against_punch) { against(4, advise_cold, punch, is_punched); }
TEST(race_cold_parts_against_punch) { against(3, advise_parts, punch, is_punched); }

// The kernel wants to split a large frame of which only a part is advised, and looks at what it
// belongs to, while the frame goes as a whole.
TEST(race_cold_page_against_whole_slot) {
  int fd = make_file("f", 1, bytes);
  std::atomic<bool> stop{false};
  std::vector<std::thread> walkers;
  for (Place place : {Place::fits, Place::slot}) {
    char* m = map_at(place, fd, bytes, rw);
    walkers.emplace_back([&stop, m] {
      while (!stop)
        for (size_t at = leaf; at < 2 * leaf; at += 64 * page) {
          (void)!madvise(m + at + page, page, MADV_COLD);
          (void)*const_cast<volatile char*>(m + at);
        }
    });
  }
  for (int i = 0; i < 60; i++) {
    SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, leaf, leaf));
    usleep(1000);
  }
  stop = true;
  for (auto& walker : walkers) walker.join();
  check_file_zero(fd, leaf, leaf);
  check_file(fd, 1, 0, leaf);
}
TEST(race_pageout_against_punch) { against(4, advise_pageout, punch, is_punched); }
TEST(race_cold_against_truncate) { against(3, advise_cold, cut_off, is_truncated); }
TEST(race_pagemap_against_truncate) { against(3, read_pagemap, cut_off, is_truncated); }
TEST(race_pagemap_against_punch) { against(3, read_pagemap, punch, is_punched); }
TEST(race_smaps_against_truncate) { against(3, read_smaps, cut_off, is_truncated); }
TEST(race_numa_maps_against_truncate) {
  if (access("/proc/self/numa_maps", R_OK) != 0) SKIP("this kernel has no numa_maps");
  against(3, read_numa_maps, cut_off, is_truncated);
}
TEST(race_mincore_against_punch) { against(3, call_mincore, punch, is_punched); }
TEST(race_soft_dirty_against_truncate) { against(3, clear_soft_dirty, cut_off, is_truncated); }

// Faults while the file shrinks and grows: contents 1, zero, or SIGBUS.
TEST(race_faults_against_truncate) {
  int fd = make_file("f", 1, bytes);
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int prot : {rw, PROT_READ})
    for (int flags : {MAP_SHARED, MAP_PRIVATE})
      readers.emplace_back([&, prot, flags] {
        char* m = map(fd, bytes, prot, flags);
        while (!stop)
          for (size_t at = 0; at < bytes && !stop; at += 11 * page) {
            uint64_t seen = 0;
            int signal = probe_read(m + at, &seen);
            if (signal ? signal != SIGBUS : seen && seen != word_at(1, at))
              FAIL("at 0x%zx: expected contents, zero or SIGBUS; signal %d, 0x%llx", at, signal,
                   (unsigned long long)seen);
          }
      });
  for (size_t i = 0; i < 40; i++) {
    SYS(ftruncate(fd, off_t(i % 5 * leaf / 2 + i % 3 * page)));
    SYS(ftruncate(fd, bytes));
    write_filled(fd, 1, i % 3 * leaf, 20 * page);
  }
  stop = true;
  for (auto& reader : readers) reader.join();
}

// Maps and unmaps while the file loses its data: a graft must not outlive it.
TEST(race_mmap_against_punch) {
  int fd = make_file("f", 1, bytes);
  std::atomic<bool> stop{false};
  std::vector<std::thread> mappers;
  mappers.reserve(3);
  for (int who = 0; who < 3; who++)
    mappers.emplace_back([&, who] {
      while (!stop) {
        char* m = map(fd, bytes, who ? PROT_READ : rw, MAP_SHARED);
        for (size_t at = 0; at < bytes; at += 200 * page) {
          uint64_t seen = *reinterpret_cast<volatile uint64_t*>(m + at);
          if (seen && seen != word_at(1, at))
            FAIL("at 0x%zx: expected contents or zero, seen 0x%llx", at, (unsigned long long)seen);
        }
        if (who == 1) SYS(mprotect(m + leaf + page, page, PROT_NONE));
        SYS(munmap(m, bytes));
      }
    });
  for (int i = 0; i < 30; i++) {
    punch(fd);
    int other = make_file("g", 2, leaf);
    check_file(other, 2, 0, leaf);
    close(other);
    SYS(unlink("g"));
    write_filled(fd, 1, page, leaf);
  }
  stop = true;
  for (auto& mapper : mappers) mapper.join();
  check_file(fd, 1, 0, leaf + page);
}

// Whole 1-GiB slots are mapped, touched and unmapped, while the file loses and gets back its first
// page: who takes the mappings away by the file must leave alone what an munmap is about to take
// away for good. Idle mappers make the way through all of them longer.
TEST(race_whole_slots_against_punch) {
  constexpr size_t slots = 3;
  int fd = make_file("f", 1, page);
  SYS(ftruncate(fd, slots * slot));
  std::vector<pid_t> idle;
  for (int who = 0; who < 12; who++)
    idle.push_back(harness::spawn([&] {
      char* m = map(fd, slot, PROT_READ, MAP_SHARED);
      (void)*const_cast<volatile char*>(m);
      pause();
    }));
  std::atomic<bool> stop{false};
  std::atomic<size_t> rounds{0};
  std::vector<std::thread> mappers;
  for (size_t count : {size_t{1}, size_t{1}, slots})
    mappers.emplace_back([&, count] {
      while (!stop) {
        char* m = map(fd, count * slot, PROT_READ, MAP_SHARED);
        for (size_t at = 0; at < count * slot; at += slot) {
          auto seen = *reinterpret_cast<volatile uint64_t*>(m + at);
          if (seen && (at || seen != word_at(1, 0)))
            FAIL("at 0x%zx: 0x%llx", at, (unsigned long long)seen);
        }
        SYS(munmap(m, count * slot));
        rounds++;
      }
    });
  const size_t wanted = size_t(600 / harness::slowness());
  while (rounds < wanted) {
    SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page));
    write_filled(fd, 1, 0, page);
  }
  stop = true;
  for (auto& mapper : mappers) mapper.join();
  for (pid_t pid : idle) SYS(kill(pid, SIGKILL));
  for (pid_t pid : idle) harness::join_killed(pid, SIGKILL);
}
