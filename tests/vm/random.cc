// SPDX-License-Identifier: MIT
//
// Random lists of everything that can be done to mappings, each step checked
// against the model (model.h). Seeds are fixed; MORSELS_TEST_SEED and
// MORSELS_TEST_STEPS change them.
#include <memory>

#include <sys/uio.h>
#include <sys/wait.h>

#include "model.h"

namespace {

class Player {
 public:
  Player(uint64_t seed, char* base, size_t pages, std::initializer_list<size_t> file_pages,
         size_t chunk, size_t hole_reads)
      : random{seed}, model(base, pages), unit(chunk) {
    model.hole_reads = hole_reads;
    int number = 0;
    for (size_t count : file_pages) {
      File& file = files[number];
      file.fd = make_sparse("f", count * page);
      file.read_only_fd = SYS(open("f", O_RDONLY | O_CLOEXEC));
      SYS(unlink("f"));
      file.pages = limit[number++] = count;
      for (size_t i = 0; i < 40; i++) write_file(file, random.below(count), 1 + random.below(20));
    }
    file_count = size_t(number);
    void* x = mmap(nullptr, page, PROT_READ | PROT_EXEC, MAP_SHARED, files[0].fd, 0);
    may_exec = x != MAP_FAILED;
    if (may_exec) munmap(x, page);
  }

  ~Player() {
    munmap(model.base, model.pages * page);
    for (size_t f = 0; f < file_count; f++) {
      close(files[f].fd);
      close(files[f].read_only_fd);
    }
  }

  void play(size_t steps, size_t stride) {
    for (size_t i = 0; i < steps; i++) {
      step();
      model.check_edges(random);
      if (i % 64 == 63) model.check_all(stride);
    }
    model.check_all(stride);
    for (size_t f = 0; f < file_count; f++) check_contents(files[f]);
  }

 private:
  static constexpr size_t max_files = 4;
  Random random;
  Model model;
  size_t unit;  // typical alignment, in pages
  File files[max_files];
  size_t limit[max_files];
  size_t file_count = 0;
  bool may_exec;
  uint32_t last_stamp = 0;
  alignas(page) char buffer[64 * page];

  uint32_t fresh() { return ++last_stamp; }
  File& any_file() { return files[random.below(file_count)]; }

  // A place in [0, end), often at a multiple of 2 MiB or of the unit.
  size_t place(size_t end) {
    size_t p = random.below(end);
    if (random.one_in(3))
      p -= p % 512;
    else if (random.one_in(3))
      p -= p % unit;
    return p;
  }

  size_t length(size_t max) {
    size_t n = random.one_in(3)   ? 1 + random.below(8)
               : random.one_in(2) ? 1 + random.below(1500)
                                  : (1 + random.below(3)) * unit + random.below(3) - 1;
    return n < max ? n : max;
  }

  void range(size_t& from, size_t& to) {
    from = place(model.pages);
    to = from + length(model.pages - from);
  }

  // What fills holes does so only in ranges of this size.
  static constexpr size_t most_filled = 2048;

  // A range over which all is mapped and `good`; false if none was found.
  template <class F>
  bool mapped_range(size_t& from, size_t& to, F&& good) {
    for (int attempt = 0; attempt < 8; attempt++) {
      size_t end;
      range(from, end);
      if (random.one_in(2) && !model.segments.empty()) {
        auto s = model.segments.lower_bound(from);
        if (s != model.segments.end() && s->first > from) {
          from = s->first;
          end = from + length(model.pages - from);
        }
      }
      to = model.run(from, end, good);
      if (to > from) return true;
    }
    return false;
  }

  void write_file(File& file, size_t index, size_t count) {
    for (size_t i = index; i < index + count && i < file.pages; i++) {
      uint32_t stamp = fresh();
      fill(buffer, stamp, 0, page);
      CHECK_EQ(SYS(pwrite(file.fd, buffer, page, off_t(i * page))), page);
      file.stamps[i] = stamp;
    }
  }

  void check_contents(File& file) {
    struct stat st;
    SYS(fstat(file.fd, &st));
    CHECK_EQ(st.st_size, file.pages * page);
    for (auto& [index, stamp] : file.stamps) {
      CHECK_EQ(SYS(pread(file.fd, buffer, page, off_t(index * page))), page);
      if (differs(buffer, stamp, 0, page) != page)
        FAIL("page 0x%zx of a file: expected contents %u", index, stamp);
    }
  }

  void map_some() {
    File& file = any_file();
    size_t from, to;
    range(from, to);
    size_t index = place(file.pages + 600);
    if (random.one_in(2))  // congruent with the address, so that slots fit
      index = index - index % unit + (from + uintptr_t(model.base) / page) % unit;
    bool read_only = random.one_in(4), shared = !random.one_in(4);
    int prots[] = {PROT_READ, rw, rw, PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC};
    int prot = prots[random.below(may_exec ? 6 : 5)];
    if (read_only && shared) prot &= ~PROT_WRITE;
    // Populating private pages would copy some of them; the model doesn't know.
    int populate = shared && to - from < most_filled && random.one_in(3) ? MAP_POPULATE : 0;
    ::map(read_only ? file.read_only_fd : file.fd, (to - from) * page, prot,
          MAP_FIXED | populate | (shared ? MAP_SHARED : MAP_PRIVATE), index * page, model.at(from));
    model.map(from, Segment{to, &file, index, prot, shared, read_only});
  }

  void unmap_some() {
    size_t from, to;
    range(from, to);
    SYS(munmap(model.at(from), (to - from) * page));
    model.unmap(from, to);
  }

  void protect_some() {
    int prots[] = {PROT_READ, rw, PROT_NONE, PROT_READ | PROT_EXEC, PROT_WRITE};
    int prot = prots[random.below(5)];
    if (!may_exec && (prot & PROT_EXEC)) prot = PROT_READ;
    size_t from, to;
    if (!mapped_range(from, to, [&](const Segment& s) {
          return !(prot & PROT_WRITE) || !(s.shared && s.read_only_fd);
        }))
      return;
    SYS(mprotect(model.at(from), (to - from) * page, prot));
    model.each(from, to, [&](size_t, Segment& s) { s.prot = prot; });
  }

  void store_some() {
    size_t from, to;
    range(from, to);
    for (int i = 0; i < 6; i++) {
      size_t p = from + random.below(to - from);
      uint32_t old, stamp = fresh();
      int want = model.expected(p, true, &old);
      int got = probe_write(model.at(p), word_at(stamp, 0));
      if (got != want) FAIL("store to page 0x%zx: expected signal %d, seen %d", p, want, got);
      if (got) continue;
      fill(model.at(p), stamp, 0, page);
      model.stored(p, stamp);
    }
  }

  void advise_some() {
    static const int advices[] = {MADV_DONTNEED,          MADV_DONTNEED,      MADV_COLD,
                                  MADV_PAGEOUT,           MADV_WILLNEED,      MADV_RANDOM,
                                  MADV_SEQUENTIAL,        MADV_NORMAL,        MADV_HUGEPAGE,
                                  MADV_NOHUGEPAGE,        MADV_DONTDUMP,      MADV_DODUMP,
                                  MADV_MERGEABLE,         MADV_UNMERGEABLE,   MADV_FREE,
                                  25 /* MADV_COLLAPSE */, MADV_POPULATE_READ, MADV_POPULATE_WRITE};
    int advice = advices[random.below(sizeof advices / sizeof *advices)];
    if (advice == 25 && !harness::is_morselfs())
      return;  // a huge page of tmpfs reaches beyond EOF without SIGBUS
    size_t from, to;
    bool only_shared = advice == MADV_POPULATE_WRITE;
    if (!mapped_range(from, to, [&](const Segment& s) {
          return (s.shared || !only_shared) && !(s.locked && advice == MADV_DONTNEED);
        }))
      return;
    if ((advice == MADV_POPULATE_READ || only_shared) && to - from > most_filled)
      to = from + most_filled;
    int got = madvise(model.at(from), (to - from) * page, advice);
    if (advice == MADV_DONTNEED) {
      if (got) FAIL("MADV_DONTNEED: expected success, seen %s", strerror(errno));
      model.drop_copies(from, to);
    }
  }

  void remove_some() {  // MADV_REMOVE punches through a mapping
    size_t from, to;
    if (!mapped_range(from, to, [](const Segment& s) {
          return s.shared && !s.read_only_fd && !s.locked && (s.prot & PROT_WRITE);
        }))
      return;
    SYS(madvise(model.at(from), (to - from) * page, MADV_REMOVE));
    model.each(from, to, [](size_t start, Segment& s) {
      s.file->forget(s.index, s.index + (s.end - start));
    });
  }

  void move_some() {
    size_t from, to;
    range(from, to);
    auto s = model.find(from);
    if (s == model.segments.end()) return;
    size_t count = (to < s->second.end ? to : s->second.end) - from;
    size_t target = place(model.pages - count);
    if (target < from + count && from < target + count) return;
    SYS(munmap(model.at(target), count * page));
    model.unmap(target, target + count);
    void* got = mremap(model.at(from), count * page, count * page, MREMAP_MAYMOVE | MREMAP_FIXED,
                       model.at(target));
    if (got == MAP_FAILED)  // more than one VMA for the kernel, or refused
      CHECK(errno == EFAULT || errno == EINVAL);
    else
      model.moved(from, target, count);
  }

  void change_file() {
    File& file = any_file();
    size_t index = place(file.pages), count = length(file.pages - index);
    int punch = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
    switch (random.below(3)) {
      case 0:
        write_file(file, index, count < 24 ? count : 24);
        break;
      case 1:
        if (count == 0) break;
        SYS(fallocate(file.fd, punch, off_t(index * page), off_t(count * page)));
        file.forget(index, index + count);
        break;
      case 2: {
        size_t most = limit[&file - files];
        size_t size = random.one_in(2) ? most : most / 2 + random.below(most / 2);
        SYS(ftruncate(file.fd, off_t(size * page)));
        model.truncated(file, size);
        break;
      }
    }
  }

  void lock_some() {
    size_t from, to;
    if (!mapped_range(from, to, [](const Segment& s) { return s.shared; })) return;
    to = to - from > most_filled ? from + most_filled : to;
    (void)!mlock(model.at(from), (to - from) * page);  // pages beyond EOF make it fail
    bool stays = random.one_in(2);
    if (!stays) SYS(munlock(model.at(from), (to - from) * page));
    model.each(from, to, [=](size_t, Segment& s) { s.locked = stays; });
  }

  // The child checks everything, stores to some pages, and is gone.
  void fork_some() {
    size_t p[4];
    uint32_t stamp[4], old;
    bool good[4];
    for (int i = 0; i < 4; i++) {
      p[i] = random.below(model.pages);
      stamp[i] = fresh();
      good[i] = model.expected(p[i], true, &old) == 0;
    }
    harness::in_child([&] {
      model.check_edges(random);
      for (int i = 0; i < 4; i++)
        if (good[i]) fill(model.at(p[i]), stamp[i], 0, page);
      if (random.one_in(3)) munmap(model.base, model.pages * page / 2);
    });
    for (int i = 0; i < 4; i++)
      if (auto s = model.find(p[i]); good[i] && s->second.shared) model.stored(p[i], stamp[i]);
  }

  void read_by_others() {
    size_t from, to;
    if (!mapped_range(from, to, [](const Segment& s) { return s.prot & PROT_READ; })) return;
    size_t count = to - from < 64 ? to - from : 64, good = 0;
    uint32_t stamp;
    while (good < count && model.expected(from + good, false, &stamp) == 0) good++;
    iovec local{buffer, count * page}, remote{model.at(from), count * page};
    ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
    CHECK_EQ(got < 0 ? 0 : got, good * page);
    for (size_t i = 0; i < good; i++) {
      (void)model.expected(from + i, false, &stamp);
      if ((stamp ? differs(buffer + i * page, stamp, 0, page) : nonzero(buffer + i * page, page)) !=
          page)
        FAIL("process_vm_readv of page 0x%zx: expected contents %u", from + i, stamp);
    }
  }

  void walk_by_kernel() {
    switch (random.below(3)) {
      case 0: {  // soft-dirty bits, written into every table it finds
        int fd = SYS(open("/proc/self/clear_refs", O_WRONLY));
        const char* which[] = {"1", "3", "4"};
        (void)!write(fd, which[random.below(3)], 1);
        close(fd);
        break;
      }
      case 1: {
        int fd = SYS(open("/proc/self/pagemap", O_RDONLY));
        size_t from = random.below(model.pages);
        (void)!pread(fd, buffer, sizeof buffer, off_t((uintptr_t(model.at(from)) / page) * 8));
        close(fd);
        break;
      }
      case 2: {
        auto resident = std::make_unique<unsigned char[]>(2048);
        size_t from = random.below(model.pages - 2048);
        (void)!mincore(model.at(from), 2048 * page, resident.get());
        break;
      }
    }
  }

  void step() {
    switch (random.below(26)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return map_some();
      case 5:
      case 6:
      case 7:
        return unmap_some();
      case 8:
      case 9:
      case 10:
        return protect_some();
      case 11:
      case 12:
      case 13:
        return store_some();
      case 14:
      case 15:
      case 16:
        return advise_some();
      case 17:
        return remove_some();
      case 18:
      case 19:
        return move_some();
      case 20:
      case 21:
        return change_file();
      case 22:
        return lock_some();
      case 23:
        return random.one_in(3) ? fork_some() : store_some();
      case 24:
        return read_by_others();
      case 25:
        return walk_by_kernel();
    }
  }
};

uint64_t setting(const char* name, uint64_t otherwise) {
  const char* value = getenv(name);
  return value ? strtoull(value, nullptr, 0) : otherwise;
}

void play(uint64_t seed, size_t steps, char* base, size_t pages,
          std::initializer_list<size_t> file_pages, size_t unit, size_t stride,
          size_t hole_reads = SIZE_MAX) {
  munmap(base, pages * page);
  auto player = std::make_unique<Player>(setting("MORSELS_TEST_SEED", seed), base, pages,
                                         file_pages, unit, hole_reads);
  player->play(setting("MORSELS_TEST_STEPS", steps), stride);
}

}  // namespace

// Files of some 2-MiB slots, in an arena that lies across a 1-GiB boundary.
TEST(random_small_slots) {
  for (uint64_t seed : {1, 2})
    play(seed, 250, reserve(20 * leaf, slot, slot - 8 * leaf), 20 * leaf / page,
         {5 * 512UL + 7, 3 * 512UL, 99, 2 * 512UL - 1}, 512, 61);
}

// The same at addresses that fit no slot.
TEST(random_small_odd) {
  play(11, 250, reserve(20 * leaf, leaf, 17 * page), 20 * leaf / page,
       {5 * 512UL + 7, 3 * 512UL, 99, 2 * 512UL - 1}, 512, 61);
}

// Files of more than 1 GiB (sparse), so that whole 1-GiB slots come and go.
// With 2-MiB leaves a touched hole costs 2 MiB.
TEST(random_big_slots) {
  bool huge = harness::has_huge_leaves();
  if (harness::free_bytes() < (huge ? 5 : 1) * slot / 4)
    SKIP("needs more free space, has 0x%llx bytes", (unsigned long long)harness::free_bytes());
  for (uint64_t seed : {21, 22})
    play(seed, huge ? 150 : 250, reserve(4 * slot, slot), 4 * slot / page,
         {slot / page + 50 * 512UL + 3, slot / page, 700}, slot / page, 64UL * 512 + 1,
         huge ? 150 : 5000);
}
