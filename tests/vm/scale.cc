// SPDX-License-Identifier: MIT
//
// What many processes and threads do at the same time without waiting for each other, and whom an
// unmap interrupts. In a machine that traces these events from its boot on
// (tests/vm/cells.py: to switch it on later patches code, which emulated CPUs do not survive every
// time).
#include <sched.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "memory.h"

namespace {

const std::string tracing = "/sys/kernel/tracing/";
constexpr size_t part = 2 * leaf;

unsigned cpus() { return static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN)); }

std::string read_all(const std::string& path) {
  std::string text;
  FILE* file = fopen(path.c_str(), "re");
  if (!file) return text;
  char buffer[65536];
  for (size_t got; (got = fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, got);
  fclose(file);
  return text;
}

void write_all(const std::string& path, const char* text) {
  FILE* file = fopen(path.c_str(), "we");
  CHECK(file);
  CHECK(fputs(text, file) >= 0);
  CHECK_EQ(fclose(file), 0);
}

void use_cpu(unsigned number) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(number % cpus(), &set);
  SYS(sched_setaffinity(0, sizeof set, &set));
}

// --- who waits for a lock -------------------------------------------------------

bool begins(const std::string& text, const char* word) { return text.rfind(word, 0) == 0; }

// What waits, and not who wants the lock.
bool is_of_locks(const std::string& frame) {
  for (const char* word :
       {"trace_", "__traceiter_", "native_", "queued_", "_raw_", "rwsem_", "down_", "up_",
        "downgrade_", "__mutex", "mutex_", "percpu_", "__percpu"})
    if (begins(frame, word)) return true;
  return false;
}

// Locks of ours: the module calls. Locks of a file's mapping: these do.
bool must_not_wait(const std::string& frame) {
  if (frame.find("[morselfs]") != std::string::npos) return true;
  for (const char* word :
       {"vma_link", "__vma_link", "unlink_file_vma", "vma_prepare", "__vma_adjust",
        "unmap_mapping_", "filemap_", "mmap_region", "touch_atime", "file_update_time"})
    if (begins(frame, word)) return true;
  return false;
}

// Once in 256 charges a CPU adds its own to the mount's, which is over in a few instructions: but a
// CPU of the emulator may lose its own there.
bool is_of_a_sum(const std::string& stack) {
  return stack.find("=> percpu_counter_add_batch+") != std::string::npos;
}

// The lock of a process's grafts, or of its own page tables: its threads share it, as they do the
// mm's.
bool is_of_the_process(const std::string& frame) {
  for (const char* word : {"morsel_graft_fault+", "is_covered+", "is_parked_over_leaf+", "prepare+",
                           "put_in+", "quiet+", "make_way+"})
    if (begins(frame, word)) return true;
  return false;
}

// The mm's lock, in a fault.
bool is_of_a_fault(const std::string& frame) {
  return begins(frame, "lock_mm_and_find_vma+") || begins(frame, "do_user_addr_fault+");
}

// An inode gets dirty, which takes the lock of a list that all volatile mounts of the machine
// share, unless it has been dirty all the time.
constexpr const char* dirtied = ": writeback_mark_inode_dirty:";
constexpr const char* again = " state=I_DIRTY_SYNC|";

std::string frame_of(const std::string& line) {
  const size_t at = line.find_first_not_of(' ', 3);
  return at == std::string::npos ? "" : line.substr(at);
}

// The first event of this program's that must not be, with its stack; or empty.
std::string unwanted(const std::string& trace, bool processes, bool faults_too) {
  std::string stack, taker;
  bool ours = false;
  const auto judged = [&] {
    const bool bad = stack.find(dirtied) != std::string::npos
                         ? stack.find(again) == std::string::npos
                         : (must_not_wait(taker) && (processes || !is_of_the_process(taker))) ||
                               (faults_too && is_of_a_fault(taker));
    return ours && bad && !is_of_a_sum(stack) ? stack : "";
  };
  for (size_t at = 0, end; at < trace.size(); at = end + 1) {
    end = trace.find('\n', at);
    if (end == std::string::npos) end = trace.size();
    const std::string line = trace.substr(at, end - at);
    if (line.find(": contention_begin:") != std::string::npos ||
        line.find(dirtied) != std::string::npos) {
      if (const std::string found = judged(); !found.empty()) return found;
      ours = line.find("vm-scale-") != std::string::npos;
      stack = line;
      taker.clear();
    } else if (begins(line, " =>")) {
      stack += "\n" + line;
      if (taker.empty() && !is_of_locks(frame_of(line))) taker = frame_of(line);
    }
  }
  return judged();
}

struct Load {
  std::function<std::function<void(unsigned time)>(unsigned worker)> make;
  unsigned times;
  bool faults_too = false;  // nor may a fault wait for the mm
};

// So many workers as CPUs. Who waited meanwhile for what must_not_wait() names; empty if nobody.
std::string who_waits(bool processes, const Load& load) {
  if (!harness::is_morselfs()) SKIP("about morselfs");
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
  for (const char* event : {"lock/contention_begin", "writeback/writeback_mark_inode_dirty"})
    if (read_all(tracing + "events/" + event + "/enable") != "1\n")
      SKIP("for a machine that traces %s from its boot on", event);
  if (cpus() < 2) SKIP("for machines with several CPUs");

  struct Board {
    std::atomic<unsigned> ready{0}, done{0};
    std::atomic<bool> go{false}, end{false};
  };
  auto* board =
      new (SYS(mmap(nullptr, sizeof(Board), rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) Board;
  const auto work = [&](unsigned worker) {
    use_cpu(worker);
    const auto step = load.make(worker);
    step(0);  // a process's first time registers a notifier
    board->ready++;
    while (!board->go) sched_yield();
    for (unsigned time = 1; time <= load.times; time++) step(time);
    board->done++;
    while (!board->end) usleep(1000);  // nobody ends while others work
  };
  std::vector<pid_t> children;
  std::vector<std::thread> threads;
  for (unsigned worker = 0; worker < cpus(); worker++) {
    if (processes)
      children.push_back(harness::spawn([&] { work(worker); }));
    else
      threads.emplace_back(work, worker);
  }
  while (board->ready < cpus()) usleep(1000);
  write_all(tracing + "trace", "\n");
  write_all(tracing + "tracing_on", "1");
  board->go = true;
  while (board->done < cpus()) usleep(1000);
  write_all(tracing + "tracing_on", "0");
  board->end = true;
  for (std::thread& thread : threads) thread.join();
  for (pid_t child : children) harness::join(child);
  return unwanted(read_all(tracing + "trace"), processes, load.faults_too);
}

void without_waiting(bool processes, const Load& load) {
  const std::string found = who_waits(processes, load);
  if (!found.empty()) FAIL("somebody waited:\n%s", found.c_str());
}

int open_own(const char* name) { return SYS(open(name, O_RDWR | O_CLOEXEC)); }

void map_and_unmap(int fd) {
  char* m = static_cast<char*>(SYS(mmap(nullptr, part, rw, MAP_SHARED, fd, 0)));
  CHECK_FILLED(m + leaf, 1, leaf, 8);
  SYS(munmap(m, part));
}

Load map_same() {
  close(make_file("f", 1, part));
  return {[](unsigned) { return [fd = open_own("f")](unsigned) { map_and_unmap(fd); }; }, 400};
}

Load fill_same() {
  close(make_sparse("f", cpus() * part));
  return {[](unsigned worker) {
            const int fd = open_own("f");
            char* m =
                static_cast<char*>(SYS(mmap(nullptr, part, rw, MAP_SHARED, fd, worker * part)));
            return [m](unsigned time) { m[time * page] = 1; };
          },
          part / page - 1};
}

// Half of the workers; the others map and unmap what is nobody's but theirs.
Load fill_beside_mappers() {
  Load load = fill_same();
  load.faults_too = true;
  load.make = [fill = load.make](unsigned worker) -> std::function<void(unsigned)> {
    if (worker % 2 == 0) return fill(worker);
    return [](unsigned) {
      void* m = SYS(mmap(nullptr, part, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      SYS(munmap(m, part));
    };
  };
  return load;
}

Load read_and_write_same() {
  close(make_file("f", 1, cpus() * part));
  return {[](unsigned worker) {
            return [fd = open_own("f"), worker](unsigned time) {
              char data[page];
              const off_t at = worker * part + time * page % part;
              CHECK_EQ(SYS(pread(fd, data, page, at)), page);
              CHECK_EQ(SYS(pwrite(fd, data, page, at)), page);
            };
          },
          1000};
}

// The first write of each file is one of these. (Files that are small enough for the lock of an
// array are not meant.)
Load first_writes() {
  constexpr unsigned files = 100;
  const auto name = [](unsigned time) { return "w" + std::to_string(time); };
  for (unsigned time = 0; time <= files; time++) close(make_sparse(name(time).c_str(), part));
  return {[name](unsigned worker) {
            std::vector<int> opened;
            for (unsigned time = 0; time <= files; time++)
              opened.push_back(open_own(name(time).c_str()));
            return [opened, worker](unsigned time) {
              const char data[page] = {1};
              CHECK_EQ(SYS(pwrite(opened[time], data, page, worker * page)), page);
            };
          },
          files};
}

Load create_and_drop() {
  return {[](unsigned worker) {
            const std::string name = "d" + std::to_string(worker);
            SYS(mkdir(name.c_str(), 0755));
            return [name = name + "/f"](unsigned) {
              close(make_file(name.c_str(), 1, page));
              SYS(unlink(name.c_str()));
            };
          },
          200};
}

}  // namespace

// Those who share a descriptor take turns at its mapping's lock. If that does not show, nothing
// would. (It does when somebody waits for so long that he sleeps.)
TEST(scale_waiting_is_seen) {
  const int fd = make_file("f", 1, part);
  const Load load = {[fd](unsigned) { return [fd](unsigned) { map_and_unmap(fd); }; }, 400};
  for (unsigned time = 0; time < 60; time++)
    if (!who_waits(true, load).empty()) return;
  FAIL("nobody was seen to wait");
}

TEST(scale_processes_map_one_object) { without_waiting(true, map_same()); }
TEST(scale_processes_fill_holes) { without_waiting(true, fill_same()); }
TEST(scale_threads_fill_holes) { without_waiting(false, fill_same()); }

// Faults in files have had the lock of their VMA alone since 6.6.
TEST(scale_threads_fill_holes_beside_mappers) {
  utsname kernel;
  SYS(uname(&kernel));
  if (begins(kernel.release, "6.1.")) SKIP("for kernels whose VMAs have locks");
  without_waiting(false, fill_beside_mappers());
}
TEST(scale_processes_read_and_write) { without_waiting(true, read_and_write_same()); }
TEST(scale_threads_read_and_write) { without_waiting(false, read_and_write_same()); }
TEST(scale_processes_write_first) { without_waiting(true, first_writes()); }
TEST(scale_threads_write_first) { without_waiting(false, first_writes()); }
TEST(scale_processes_create_and_drop) { without_waiting(true, create_and_drop()); }
TEST(scale_threads_create_and_drop) { without_waiting(false, create_and_drop()); }

// --- whom an unmap interrupts ---------------------------------------------------

namespace {

constexpr unsigned times = 500;

// Function calls that CPUs were interrupted for, the flushes of TLBs among them.
unsigned long calls() {
  const std::string text = read_all("/proc/interrupts");
  const size_t at = text.find("CAL:");
  CHECK(at != std::string::npos);
  unsigned long sum = 0;
  const char* word = text.c_str() + at + 4;
  for (unsigned cpu = 0; cpu < cpus(); cpu++) {
    char* end;
    sum += strtoul(word, &end, 10);
    word = end;
  }
  return sum;
}

unsigned long calls_of_unmaps() {
  const int fd = make_file("f", 1, part);
  const auto once = [fd] {
    char* m = static_cast<char*>(SYS(mmap(nullptr, part, rw, MAP_SHARED, fd, 0)));
    CHECK_FILLED(m, 1, 0, 8);
    SYS(munmap(m, part));
  };
  once();
  const unsigned long before = calls();
  for (unsigned time = 0; time < times; time++) once();
  const unsigned long after = calls();
  close(fd);
  SYS(unlink("f"));
  return after - before;
}

// The machine's other calls come on top, more of them when it is slow: so the fewest of a few
// times.
unsigned long fewest_calls_of_unmaps() {
  unsigned long fewest = calls_of_unmaps();
  for (unsigned again = 0; again < 4; again++) fewest = std::min(fewest, calls_of_unmaps());
  return fewest;
}

}  // namespace

// Nobody, if no other CPU has the address space. The rest of the machine wakes up its threads by
// such calls, too.
TEST(scale_unmap_of_one_cpu_interrupts_nobody) {
  if (!harness::is_morselfs()) SKIP("about morselfs");
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
  if (cpus() < 2) SKIP("for machines with several CPUs");
  use_cpu(0);
  const unsigned long seen = fewest_calls_of_unmaps();
  if (seen >= times / 2) FAIL("%lu calls for %u unmaps", seen, times);
}

// The other CPU, once for the grafts, but for the moments in which it runs something of the
// kernel's. The kernel may do so once more for a table of the process's own that it frees.
TEST(scale_unmap_interrupts_once) {
  if (!harness::is_morselfs()) SKIP("about morselfs");
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
  if (cpus() < 2) SKIP("for machines with several CPUs");
  std::atomic<bool> end{false}, runs{false};
  std::thread other([&] {
    use_cpu(1);
    runs = true;
    while (!end) {
    }
  });
  use_cpu(0);
  while (!runs) sched_yield();
  const unsigned long seen = fewest_calls_of_unmaps();
  end = true;
  other.join();
  if (seen < times - times / 5 || seen > 2 * times + times / 5)
    FAIL("%lu calls for %u unmaps", seen, times);
}
