// SPDX-License-Identifier: MIT
//
// The module's own fault injection (kernel/inject.c), and what only it can do: fail one kind of
// allocation for as long as one likes, and tell which kinds never failed.
#include <sys/wait.h>

#include <map>
#include <sstream>

#include "inject.h"

namespace {

constexpr const char* parameter = "/sys/module/morselfs/parameters/inject";

int parameter_fd() {
  static int fd = open(parameter, O_RDWR | O_CLOEXEC);
  return fd;
}

void tell(const std::string& line) {
  CHECK_EQ(pwrite(parameter_fd(), line.data(), line.size(), 0), line.size());
}

// How often each site was asked, and failed, since the module was loaded.
struct Count {
  unsigned long asked, failed;
};
std::map<std::string, Count> sites() {
  char text[4096];
  std::istringstream lines(
      std::string(text, size_t(SYS(pread(parameter_fd(), text, sizeof text, 0)))));
  std::map<std::string, Count> counts;
  std::string name;
  for (Count count; lines >> name >> count.asked >> count.failed;) counts[name] = count;
  CHECK(!counts.empty());
  return counts;
}

unsigned long failures() {
  unsigned long all = 0;
  for (const auto& [name, count] : sites()) all += count.failed;
  return all;
}

unsigned long failures_at_start;

// A child does something that a site's failure stops; it waits without harm, and can be killed.
template <class F>
void stopped_by(const std::string& site, F&& body) {
  for (bool killed : {true, false}) {
    tell(site + " all");
    unsigned long before = sites().at(site).failed;
    pid_t child = harness::spawn(body);
    while (sites().at(site).failed < before + 3) {  // it tries again and again
      if (waitpid(child, nullptr, WNOHANG) == child) FAIL("%s: expected to stop it", site.c_str());
      usleep(1000);
    }
    if (killed) {
      SYS(kill(child, SIGKILL));
      harness::join_killed(child, SIGKILL);
      tell("any 0");
    } else {
      tell("any 0");
      harness::join(child);
    }
  }
}

constexpr size_t bytes = 2 * leaf + 5 * page;

}  // namespace

namespace inject {

void need() {
  if (!harness::is_morselfs()) SKIP("about allocations of morselfs");
  if (parameter_fd() < 0) SKIP("can't open %s: %s", parameter, strerror(errno));
}

void arm(unsigned long n) {
  failures_at_start = failures();
  tell("any " + std::to_string(n));
}

bool disarm() {
  tell("any 0");
  return failures() > failures_at_start;
}

// Faults in user memory that the kernel runs into can only be told as EFAULT.
bool excusable(int error) { return error == ENOMEM || error == EFAULT; }

void end() { tell("off"); }

}  // namespace inject

INJECT_TEST(inject_holes_wait_for_memory) {
  for (const char* site : {"frame", "table"}) {
    int fd = make_sparse("f", bytes);
    SYS(unlink("f"));
    stopped_by(site, [&] {
      char* m = map(fd, bytes, rw, MAP_SHARED);
      m[2 * leaf + page] = 1;  // the last slot has small leaves always
    });
    close(fd);
  }
}

INJECT_TEST(inject_grafts_wait_for_memory) {
  int fd = make_file("f", 1, bytes);
  SYS(unlink("f"));
  for (const char* site : {"run", "entries", "own-table", "own-table-lock"})
    stopped_by(site, [&] {
      char* m = map_at(Place::fits, fd, bytes, rw);
      CHECK_PAGES(m, 1, 0, bytes);
    });
}

// Without a graft table a mapping works, page by page; the next one is grafted again.
INJECT_TEST(inject_mappings_without_a_table) {
  int fd = make_file("f", 1, bytes);
  SYS(unlink("f"));
  tell("graft-table all");
  char* m = map_at(Place::fits, fd, bytes, rw);
  CHECK_PAGES(m, 1, 0, bytes);
  fill(m + leaf, 2, leaf, page);
  check_file(fd, 2, leaf, page);
  CHECK_EQ(info(fd).grafted_bytes, 0);
  harness::in_child([&] {
    CHECK_FILLED(m + leaf, 2, leaf, page);
    fill(m + leaf, 3, leaf, page);
  });
  CHECK_FILLED(m + leaf, 3, leaf, page);
  SYS(munmap(m + page, page));
  SYS(mprotect(m + leaf, page, PROT_READ));
  CHECK_SIGNAL_WRITE(m + leaf, SIGSEGV);
  SYS(ftruncate(fd, leaf + page));
  CHECK_SIGNAL_READ(m + leaf + page, SIGBUS);
  CHECK_FILLED(m + leaf, 3, leaf, page);
  tell("any 0");
  char* n = map_at(Place::fits, fd, bytes, rw);
  CHECK_FILLED(n + leaf, 3, leaf, page);
  CHECK(info(fd).grafted_bytes >= leaf);
}

// Where there is no large frame, small ones do.
INJECT_TEST(inject_no_large_frames) {
  if (!harness::has_huge_leaves() || harness::leaves_move()) SKIP("about huge=always");
  for (const std::string site : {"huge-frame", "move-frame", "move", "move-retired"}) {
    tell(site + " all");
    int fd = make_file("f", 1, leaf);  // in pieces of less than a slot
    int g = make_sparse("g", 2 * leaf);
    SYS(fallocate(g, 0, 0, 2 * leaf));
    check_file(fd, 1, 0, leaf);
    check_file_zero(g, 0, 2 * leaf);
    bool merging = site.starts_with("move");
    CHECK_EQ(info(g).leaves_2m, merging ? 2 : 0);
    CHECK_EQ(info(fd).leaves_2m, !merging);
    tell("any 0");
    for (const char* name : {"f", "g"}) SYS(unlink(name));
    close(fd);
    close(g);
  }
}

// A small file whose first tables can't be had: neither of them stays, and the file is as it was.
INJECT_TEST(inject_small_stays_small) {
  constexpr size_t small = 70 * page;
  int fd = make_file("f", 1, small);
  SYS(unlink("f"));
  for (const char* plan : {"table 1", "table 2", "table-lock 1", "table-lock 2"}) {
    tell(plan);
    CHECK(mmap(nullptr, small, rw, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK_EQ(errno, ENOMEM);
    tell(plan);
    SYS_ERR(ftruncate(fd, 3 * slot), ENOMEM);
    tell(plan);
    SYS_ERR(pwrite(fd, "x", 1, leaf), ENOMEM);
    tell("any 0");
    morselfs_info i = info(fd);
    CHECK_EQ(i.bytes, small);
    CHECK_EQ(i.leaves_4k, small / page);
    CHECK_EQ(i.table_bytes, 0);
    CHECK_EQ(i.mappings, 0);
    check_file(fd, 1, 0, small);
  }
  char* m = map(fd, small, rw, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, small);
}

// Only of the process that was named.
INJECT_TEST(inject_one_process) {
  int fd = make_sparse("f", page);
  SYS(unlink("f"));
  tell("frame all " + std::to_string(getpid()));
  SYS_ERR(pwrite(fd, "x", 1, 0), ENOMEM);
  harness::in_child([&] { CHECK_EQ(pwrite(fd, "x", 1, 0), 1); });
  tell("any 0");
}

INJECT_TEST(inject_bad_orders) {
  for (const char* line : {"", "any", "nothing 1", "frame", "frame -1", "frame one", "frame 1 -1",
                           "any 99999999999999999999", "load", "off 1"})
    if (pwrite(parameter_fd(), line, strlen(line), 0) > 0) FAIL("'%s': expected an error", line);
  harness::in_child([] {
    SYS(setresuid(65534, 65534, 65534));
    SYS_ERR(open(parameter, O_RDONLY), EACCES);
    SYS_ERR(open(parameter, O_WRONLY), EACCES);
  });
}

// The last one: what the tests above have never made fail. What fails when the module is loaded
// is for module.sh, what fails on pools for vm-pool, what fails when a device maps for vm-device.
INJECT_TEST(inject_every_site) {
  std::string missing;
  unsigned long all = failures(), number = 0;
  if (!all) SKIP("the other tests have not run");
  for (const auto& [name, count] : sites()) {
    bool huge = name == "huge-frame" || name.starts_with("move");
    if (name.starts_with("load-") || name.starts_with("pool") || name.starts_with("device-"))
      continue;
    if (huge && (!harness::has_huge_leaves() || harness::leaves_move())) continue;
    if ((name == "export" || name == "scatter") && !has_dma_bufs()) continue;
    number++;
    if (!count.failed) missing += " " + name;
  }
  if (!missing.empty()) FAIL("expected every site to have failed, never did:%s", missing.c_str());
  printf("# %lu allocations at %lu sites failed since the module was loaded\n", all, number);
}
