// SPDX-License-Identifier: MIT
//
// Tracepoints: one cover per mapping with the right grafts, an un-graft per removal, a fill per
// hole.
#include <stdarg.h>
#include <sys/wait.h>

#include <vector>

#include "accounting.h"

using namespace accounting;

namespace {

// An instance of tracing of our own: nobody else's events, nobody else's settings.
const std::string instance = "/sys/kernel/tracing/instances/morsels";
constexpr size_t bytes = 5 * leaf + 7 * page;

// 6.1 makes its main buffer large when an event of an instance is enabled for the first time, and
// keeps it: 1.4 MiB of each CPU, which would look like a leak of the module's.
class MainBuffer {
 public:
  ~MainBuffer() {
    if (read_text(file) != before) write_text(file, std::to_string(atol(before.c_str())));
  }

 private:
  const std::string file = "/sys/kernel/tracing/buffer_size_kb";
  const std::string before = read_text(file);
};

// An enabled event holds the module, so the instance must go, whatever becomes of the test.
void session(void (*body)()) {
  if (!harness::is_morselfs()) SKIP("about tracepoints of morselfs");
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
  // Enabling an event patches code. With several emulated CPUs one once never came out of the
  // breakpoint that stands there meanwhile; the tests run on machines with one CPU, too.
  if (sysconf(_SC_NPROCESSORS_ONLN) > 1) SKIP("for machines with one CPU");
  rmdir(instance.c_str());
  int status;
  {
    MainBuffer restored;
    if (mkdir(instance.c_str(), 0755) != 0)
      SKIP("can't make %s: %s", instance.c_str(), strerror(errno));
    pid_t pid = harness::spawn(body);
    SYS(waitpid(pid, &status, 0));
    SYS(rmdir(instance.c_str()));
  }
  if (status != 0) _exit(1);
}

// What this process does while it runs, line by line: "NAME: FIELDS".
class Events {
 public:
  Events() {
    // Not set_event_pid, which hooks into the scheduler.
    CHECK(write_text(instance + "/events/morselfs/filter",
                     "common_pid == " + std::to_string(getpid())));
    CHECK(write_text(instance + "/events/morselfs/enable", "1"));
  }
  std::vector<std::string> stop() {
    CHECK(write_text(instance + "/events/morselfs/enable", "0"));
    std::string text = read_text(instance + "/trace");
    close(SYS(open((instance + "/trace").c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC)));  // empties it
    std::vector<std::string> lines;
    for (size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1)
      if (auto name = text.find(": morselfs_", at); text[at] != '#' && name < end)
        lines.push_back(text.substr(name + 2, end - name - 2));
    return lines;
  }
};

std::string formatted(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::string formatted(const char* format, ...) {
  char text[400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return text;
}

std::string of_file(int fd) {
  struct stat st;
  SYS(fstat(fd, &st));
  return formatted("dev=%u:%u ino=%lu", major(st.st_dev), minor(st.st_dev), st.st_ino);
}

void check_events(const std::vector<std::string>& seen, const std::vector<std::string>& expected) {
  for (size_t i = 0; i < seen.size() || i < expected.size(); i++) {
    const char* s = i < seen.size() ? seen[i].c_str() : "nothing";
    const char* e = i < expected.size() ? expected[i].c_str() : "nothing";
    if (strcmp(s, e) != 0) FAIL("event %zu: expected '%s', seen '%s'", i, e, s);
  }
}

void map_and_unmap() {
  int fd = make_file("f", 1, bytes);
  std::string file = of_file(fd);
  char* m = reserve(bytes, slot);  // crosses no 1-GiB boundary: one cover
  auto at = (unsigned long)m;
  Events events;
  map(fd, bytes, rw, MAP_SHARED | MAP_FIXED, 0, m);
  CHECK_PAGES(m, 1, 0, bytes);
  check_events(
      events.stop(),
      {formatted("morselfs_graft: %s level=pmd start=0x%lx slots=5", file.c_str(), at),
       formatted("morselfs_graft: %s level=pte start=0x%lx slots=7", file.c_str(), at + 5 * leaf),
       formatted("morselfs_cover: %s start=0x%lx end=0x%lx address=0x%lx segments=2 "
                 "result=NOPAGE",
                 file.c_str(), at, at + bytes, at)});
  Events more;
  SYS(munmap(m, bytes));
  check_events(more.stop(),
               {formatted("morselfs_ungraft: start=0x%lx end=0x%lx slots=12", at, at + bytes)});
}

void whole_slot() {
  int fd = make_file("f", 1, bytes);
  std::string file = of_file(fd);
  char* m = reserve(slot, slot);
  auto at = (unsigned long)m;
  Events events;
  map(fd, slot, PROT_READ, MAP_SHARED | MAP_FIXED, 0, m);
  CHECK_PAGES(m, 1, 0, bytes);
  check_events(events.stop(),
               {formatted("morselfs_graft: %s level=pud start=0x%lx slots=1", file.c_str(), at),
                formatted("morselfs_cover: %s start=0x%lx end=0x%lx address=0x%lx segments=1 "
                          "result=NOPAGE",
                          file.c_str(), at, at + slot, at)});
}

void holes() {
  int fd = make_sparse("f", bytes);
  std::string file = of_file(fd);
  Events events;
  CHECK_EQ(pwrite(fd, "x", 1, leaf + 3 * page), 1);
  CHECK_EQ(pwrite(fd, "x", 1, 5 * leaf + 2 * page), 1);
  bool huge = harness::has_huge_leaves();
  check_events(events.stop(),
               {formatted("morselfs_fill: %s index=%d order=%d", file.c_str(), huge ? 512 : 515,
                          huge ? 9 : 0),
                formatted("morselfs_fill: %s index=%d order=0", file.c_str(), 5 * 512 + 2)});
}

// In the context of who truncates; the process whose grafts they are does nothing.
void truncation() {
  int fd = make_file("f", 1, bytes);
  auto* gate = shared<Gate>();
  pid_t child = harness::spawn([&] {
    char* m = reserve(bytes, slot);
    CHECK_PAGES(map(fd, bytes, rw, MAP_SHARED | MAP_FIXED, 0, m), 1, 0, bytes);
    gate->open();
    pause();
  });
  gate->wait();
  Events events;
  SYS(ftruncate(fd, leaf));
  unsigned long slots = 0;
  for (const std::string& line : events.stop()) {
    unsigned long start, end, some;
    CHECK_EQ(sscanf(line.c_str(), "morselfs_ungraft: start=0x%lx end=0x%lx slots=%lu", &start, &end,
                    &some),
             3);
    slots += some;
  }
  CHECK_EQ(slots, 12);  // whole runs
  SYS(kill(child, SIGKILL));
  harness::join_killed(child, SIGKILL);
}

}  // namespace

TEST(accounting_trace_of_a_mapping) { session(map_and_unmap); }
TEST(accounting_trace_of_a_whole_slot) { session(whole_slot); }
TEST(accounting_trace_of_holes) { session(holes); }
TEST(accounting_trace_of_a_truncation) { session(truncation); }
