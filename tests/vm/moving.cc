// SPDX-License-Identifier: MIT
//
// Slots are moved into 2-MiB leaves and back all the time, while processes read, write, map, cut
// and hold the pages in them, come and go. What they see is checked against a ledger.
#include <sys/uio.h>
#include <sys/wait.h>

#include <iterator>
#include <memory>
#include <thread>

#include "huge.h"
#include "ledger.h"

namespace {

constexpr size_t slots = 6;
constexpr size_t bytes = slots * leaf + 3 * unit_bytes;  // and an edge
constexpr size_t units = bytes / unit_bytes, units_per_slot = leaf / unit_bytes;
// Whose units these are: two owners take turns, and one has what he cuts off, again and again.
constexpr size_t owners = 2, first_of_tail = (slots - 1) * units_per_slot + 40;
static_assert(units <= Ledger::most_units);

struct Shared {
  Ledger ledger;
  std::atomic<bool> stop;
  std::atomic<size_t> promoted, demoted;  // slots, by the ioctls
  std::atomic<size_t> steps[16];          // of each process that does something else
};

Shared* common;

// Small numbers without a pattern; each process has its own.
struct Dice {
  uint64_t state;
  size_t below(size_t limit) {
    state = state * 6364136223846793005 + 1442695040888963407;
    return size_t(state >> 33) % limit;
  }
};

// A process's view of the file, and what it looks with.
class View {
 public:
  View(Place place, uint64_t seed, bool writes)
      : dice{seed}, fd(SYS(open("f", writes ? O_RDWR : O_RDONLY))) {
    if (!harness::disk().empty()) disk = SYS(open(harness::disk().c_str(), O_RDWR | O_DIRECT));
    ro = map_at(place, fd, bytes, PROT_READ);
    shared = writes ? map_at(place, fd, bytes, rw) : ro;
    unwritten = map(fd, bytes, rw, MAP_PRIVATE);
    buffer = reinterpret_cast<uint64_t*>(map(-1, unit_bytes, rw, MAP_PRIVATE | MAP_ANONYMOUS));
    SYS(pipe(pipes));
  }

  // Looks at a unit in one of many ways.
  void look(size_t unit) {
    const size_t at = unit * unit_bytes;
    const uint32_t before = common->ledger.before(unit);
    switch (dice.below(6)) {
      case 0: {
        ssize_t got = SYS(pread(fd, buffer, unit_bytes, off_t(at)));
        // Short at the end of the file: there is nothing.
        memset(reinterpret_cast<char*>(buffer) + got, 0, unit_bytes - size_t(got));
        common->ledger.check(unit, before, buffer, "pread");
        break;
      }
      case 1:
        return look_through(ro, unit, before, "read-only mapping");
      case 2:
        return look_through(shared, unit, before, "shared mapping");
      case 3:
        return look_through(unwritten, unit, before, "private mapping");
      case 4: {
        iovec local{buffer, unit_bytes}, remote{ro + at, unit_bytes};
        ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
        check_transfer(unit, before, got, "process_vm_readv");
        break;
      }
      case 5: {  // a device reads the pages
        if (disk < 0) return;
        ssize_t got = pwrite(disk, ro + at, unit_bytes, disk_place());
        if (got == ssize_t(unit_bytes))
          CHECK_EQ(pread(disk, buffer, unit_bytes, disk_place()), got);
        check_transfer(unit, before, got, "O_DIRECT from a mapping");
        break;
      }
    }
  }

  // Changes a unit that is this process's, in one of many ways.
  void write(size_t unit, bool by_file_only) {
    char* const at = shared + unit * unit_bytes;
    const uint32_t generation = common->ledger.begin(unit, false);
    Ledger::fill_unit(buffer, unit, generation);
    switch (by_file_only ? 0 : dice.below(5)) {
      case 0:
        CHECK_EQ(pwrite(fd, buffer, unit_bytes, off_t(unit * unit_bytes)), unit_bytes);
        break;
      case 1:
        store(at);
        break;
      case 2: {
        iovec local{buffer, unit_bytes}, remote{at, unit_bytes};
        CHECK_EQ(process_vm_writev(getpid(), &local, 1, &remote, 1, 0), unit_bytes);
        break;
      }
      case 3:  // a device writes the pages
        if (disk < 0) {
          store(at);
        } else {
          CHECK_EQ(pwrite(disk, buffer, unit_bytes, disk_place()), unit_bytes);
          CHECK_EQ(pread(disk, at, unit_bytes, disk_place()), unit_bytes);
        }
        break;
      case 4: {  // a pipe holds the pages: it gets what is stored afterwards
        iovec part{at, unit_bytes};
        CHECK_EQ(vmsplice(pipes[1], &part, 1, 0), unit_bytes);
        if (dice.below(2)) usleep(useconds_t(dice.below(5000)));
        store(at);
        CHECK_EQ(read(pipes[0], buffer, unit_bytes), unit_bytes);
        CHECK_FILLED(buffer, generation, unit * unit_bytes, unit_bytes);
        break;
      }
    }
    common->ledger.end(unit);
  }

  // Takes a unit away, one way or the other, and looks whether it is gone.
  void punch(size_t unit) {
    common->ledger.begin(unit, true);
    if (dice.below(2))
      SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(unit * unit_bytes),
                    unit_bytes));
    else
      SYS(madvise(shared + unit * unit_bytes, unit_bytes, MADV_REMOVE));
    common->ledger.end(unit);
    look(unit);
    if (dice.below(2)) SYS(fallocate(fd, 0, off_t(unit * unit_bytes), unit_bytes));
    look(unit);
  }

  Dice dice;
  int fd;

 private:
  void store(char* at) {
    for (size_t w = 0; w < unit_words; w++) reinterpret_cast<volatile uint64_t*>(at)[w] = buffer[w];
  }

  void look_through(const char* mapping, size_t unit, uint32_t before, const char* how) {
    auto* from = reinterpret_cast<const uint64_t*>(mapping + unit * unit_bytes);
    constexpr size_t step = 16;
    const size_t first = dice.below(step);
    for (size_t w = first; w < unit_words; w += step)
      if (int signal = probe_read(from + w, buffer + w)) {
        CHECK_EQ(signal, SIGBUS);
        return common->ledger.check(unit, before, nullptr, how);
      }
    common->ledger.check(unit, before, buffer, how, first, step);
  }

  // Of a system call that takes pages from a mapping.
  void check_transfer(size_t unit, uint32_t before, ssize_t got, const char* how) {
    if (got == ssize_t(unit_bytes)) return common->ledger.check(unit, before, buffer, how);
    if (got < 0) CHECK_EQ(errno, EFAULT);
    common->ledger.check(unit, before, nullptr, how);
  }

  // Each thread's own.
  static off_t disk_place() { return off_t(gettid() % 8192) * off_t(unit_bytes); }

  int disk = -1;
  char *ro, *shared, *unwritten;
  uint64_t* buffer;
  int pipes[2];
};

using Body = void (*)(View& view, size_t who);

// Changes its own units and looks at all.
void own(View& view, size_t who) {
  size_t mine;
  do mine = view.dice.below(first_of_tail);
  while (mine % owners != who);
  if (view.dice.below(6) == 0) view.punch(mine);
  view.write(mine, false);
  view.look(mine);
  view.look(view.dice.below(units));
}

// Cuts the file off and lets it grow again.
void cut(View& view, size_t) {
  Ledger& ledger = common->ledger;
  const size_t from = first_of_tail + view.dice.below(units - first_of_tail);
  for (size_t unit = from; unit < units; unit++) ledger.begin(unit, true);
  SYS(ftruncate(view.fd, off_t(from * unit_bytes)));
  if (view.dice.below(2)) SYS(ftruncate(view.fd, bytes));
  for (size_t unit = from; unit < units; unit++) ledger.end(unit);
  view.look(from);
  for (size_t unit = from; unit < units; unit++) view.write(unit, true);
  for (int i = 0; i < 20; i++) view.look(view.dice.below(units));
}

void look_around(View& view, size_t) {
  for (int i = 0; i < 10; i++) view.look(view.dice.below(units));
}

// Mappers come and go: children look through what they have inherited, and end or are killed.
void have_children(View& view, size_t) {
  pid_t child = harness::spawn([&] {
    for (int i = 0; i < 8; i++) view.look(view.dice.below(units));
    if (view.dice.state >> 40 & 1) pause();
  });
  view.dice.below(2);
  for (int i = 0; i < 4; i++) view.look(view.dice.below(units));
  usleep(2000);
  SYS(kill(child, SIGKILL));
  int status;
  SYS(waitpid(child, &status, 0));
  CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

// Maps anew each time.
void map_anew(Place place, uint64_t seed) {
  pid_t child = harness::spawn([&] {
    View view(place, seed, true);
    for (int i = 0; i < 6; i++) view.look(view.dice.below(units));
  });
  harness::join(child);
}

// Moves the whole file, or some of it.
void move_about(uint64_t seed) {
  Dice dice{seed};
  int fd = SYS(open("f", O_RDWR));
  while (!common->stop) {
    bool whole = dice.below(3) == 0;
    uint64_t start = whole ? 0 : dice.below(slots) * leaf;
    uint64_t length = whole ? 0 : (1 + dice.below(2)) * leaf;
    common->promoted += promote(fd, start, length).done_bytes / leaf;
    if (dice.below(4) == 0) usleep(useconds_t(dice.below(3000)));
    common->demoted += demote(fd, start, length).done_bytes / leaf;
  }
}

// Everybody at once, until so many slots were moved each way and everybody has done something.
// Views are mapped in these two ways.
void all_at_once(Place a, Place b) {
  common = shared<Shared>();
  int fd = SYS(open("f", O_RDWR | O_CREAT | O_EXCL, 0644));
  (void)promote(fd);  // or SKIP
  auto buffer = std::make_unique<char[]>(unit_bytes);
  for (size_t unit = 0; unit < units; unit++) {
    Ledger::fill_unit(buffer.get(), unit, common->ledger.begin(unit, false));
    CHECK_EQ(pwrite(fd, buffer.get(), unit_bytes, off_t(unit * unit_bytes)), unit_bytes);
    common->ledger.end(unit);
  }
  size_t count = 0;
  auto start = [&](Body body, Place place, size_t who, bool writes) {
    const size_t number = count++;
    harness::spawn([=] {
      (void)!nice(10);  // who moves slots is to get somewhere
      View view(place, 1000 * number + 7, writes);
      while (!common->stop) {
        body(view, who);
        common->steps[number]++;
      }
    });
  };
  start(own, a, 0, true);
  start(own, b, 1, true);
  start(cut, a, 0, true);
  start(look_around, b, 0, false);
  start(have_children, a, 0, false);
  const size_t newcomer = count++;
  harness::spawn([=] {
    (void)!nice(10);
    for (uint64_t seed = 1; !common->stop; seed++) {
      map_anew(seed % 2 ? a : b, seed);
      common->steps[newcomer]++;
    }
  });
  const size_t threaded = count++;
  harness::spawn([=] {  // one address space on several CPUs
    (void)!nice(10);
    auto run = [=](uint64_t seed) {
      View view(a, seed, false);
      while (!common->stop) {
        look_around(view, 0);
        common->steps[threaded]++;
      }
    };
    std::thread other(run, 5001);
    run(5002);
    other.join();
  });
  harness::spawn([] { move_about(11); });

  const size_t wanted = size_t(12 / harness::slowness());
  auto is_enough = [&] {
    for (size_t i = 0; i < count; i++)
      if (common->steps[i] < wanted / 2) return false;
    return common->promoted >= wanted && common->demoted >= wanted;
  };
  while (!is_enough()) usleep(20000);
  common->stop = true;
  for (size_t i = 0; i <= count; i++) {
    int status;
    SYS(wait(&status));
    CHECK_EQ(status, 0);
  }
  View view(a, 3, true);
  for (int round = 0; round < 3; round++) {
    for (size_t unit = 0; unit < units; unit++) view.look(unit);
    promote_all(fd);
  }
}

}  // namespace

TEST_LIMIT(moving_under_2_mib_slots, 300) { all_at_once(Place::fits, Place::odd); }
TEST_LIMIT(moving_under_gibibyte_slots, 300) { all_at_once(Place::slot, Place::slot); }

// Files are made, moved by somebody who knows only their names, checked and removed.
TEST(moving_files_that_come_and_go) {
  auto* stop = shared<std::atomic<bool>>();
  auto* moved = shared<std::atomic<size_t>>();
  int probe = make_file("probe", 1, page);
  (void)promote(probe);  // or SKIP
  pid_t mover = harness::spawn([=] {
    while (!*stop)
      for (const char* name : {"a", "b", "c"}) {
        int fd = open(name, O_RDWR);
        if (fd < 0) continue;
        *moved += promote(fd).done_bytes / leaf;
        *moved += demote(fd).done_bytes / leaf;
        close(fd);
      }
  });
  const size_t wanted = size_t(16 / harness::slowness());
  for (uint64_t seed = 1; *moved < wanted || seed < 10; seed++) {
    const char* names[] = {"a", "b", "c"};
    const char* name = names[seed % std::size(names)];
    int fd = make_file(name, seed, 2 * leaf + page);
    char* m = map(fd, 2 * leaf + page, rw, MAP_SHARED);
    for (int i = 0; i < 4; i++) {
      CHECK_PAGES(m, seed, 0, 2 * leaf + page);
      usleep(2000);
    }
    SYS(unlink(name));
    close(fd);
    CHECK_PAGES(m, seed, 0, 2 * leaf + page);
    SYS(munmap(m, 2 * leaf + page));
  }
  *stop = true;
  harness::join(mover);
}
