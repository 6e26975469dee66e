// SPDX-License-Identifier: MIT
//
// Memory policies of mappings and page migration: refused or harmless. The policy of a mount
// (mpol=): where its pages lie.
#include <sched.h>
#include <sys/syscall.h>

#include <functional>
#include <vector>

#include "../conformance/files.h"

namespace {
constexpr size_t bytes = 3 * leaf + 5 * page;
constexpr int mpol_bind = 2, mpol_preferred = 1, mpol_mf_strict = 1, mpol_mf_move = 2,
              mpol_mf_move_all = 4, mpol_f_addr = 2, mpol_f_node = 1;

// The nodes with memory; a machine with two is enough for all.
std::vector<int> nodes_or_skip() {
  std::string list = memory_nodes();
  if (list.empty()) SKIP("this kernel has no NUMA");
  if (list == "0") return {0};
  if (list == "0-1") return {0, 1};
  SKIP("expected a machine with the nodes 0 or 0-1, seen %s", list.c_str());
}
int other_of(int node) { return 1 - node; }

std::string with_node(const char* policy, int node) { return policy + std::to_string(node); }

// The node of each page.
std::vector<int> nodes_of(int fd, size_t size, size_t offset = 0) {
  char* m = map(fd, size, PROT_READ, MAP_SHARED, offset);
  std::vector<void*> pages;
  for (size_t at = 0; at < size; at += page) {
    CHECK_EQ(probe_read(m + at), 0);
    pages.push_back(m + at);
  }
  std::vector<int> nodes(pages.size(), -1);
  if (syscall(SYS_move_pages, 0, pages.size(), pages.data(), nullptr, nodes.data(), 0) != 0)
    SKIP("move_pages: %s", strerror(errno));
  SYS(munmap(m, size));
  return nodes;
}

void check_node(int fd, int node, const std::string& what, size_t size = bytes, size_t offset = 0) {
  std::vector<int> nodes = nodes_of(fd, size, offset);
  for (size_t i = 0; i < nodes.size(); i++)
    if (nodes[i] != node)
      FAIL("%s: page %zu: expected on node %d, seen %d", what.c_str(), offset / page + i, node,
           nodes[i]);
}

// Files that come into being in every way: each gets its pages from this node.
void check_new_files(int node, const std::string& what) {
  int fd = make_file("n/written", 1, bytes);
  check_node(fd, node, what + ", written");
  check_file(fd, 1, 0, bytes);
  close(fd);
  fd = make_sparse("n/allocated", bytes);
  SYS(fallocate(fd, 0, 0, bytes));
  check_node(fd, node, what + ", fallocate");
  close(fd);
  fd = make_sparse("n/stored", bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  fill(m, 2, 0, bytes);
  SYS(munmap(m, bytes));
  check_node(fd, node, what + ", through a mapping");
  check_file(fd, 2, 0, bytes);
  close(fd);
  for (const char* name : {"n/written", "n/allocated", "n/stored"}) SYS(unlink(name));
}

void remount(const std::string& options) {
  SYS(mount("none", "n", harness::file_system(), MS_REMOUNT, options.c_str()));
}

// In a process that stays on the CPUs of a node, and has a memory policy (0: none) for another one.
void as_task(int node, int policy, int policy_node, const std::function<void()>& body) {
  harness::in_child([&] {
    unsigned long mask = 1UL << policy_node;
    SYS(syscall(SYS_set_mempolicy, policy, policy ? &mask : nullptr, policy ? 64 : 0));
    cpu_set_t all, cpus;
    SYS(sched_getaffinity(0, sizeof all, &all));
    CPU_ZERO(&cpus);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
      std::string link = "/sys/devices/system/node/node" + std::to_string(node) + "/cpu";
      if (CPU_ISSET(cpu, &all) && exists((link + std::to_string(cpu)).c_str())) CPU_SET(cpu, &cpus);
    }
    SYS(sched_setaffinity(0, sizeof cpus, &cpus));
    body();
  });
}

}  // namespace

TEST(numa_bind_and_move) {
  int fd = make_file("f", 1, bytes);
  for (int prot : {rw, PROT_READ}) {
    char* m = map(fd, bytes, prot, MAP_SHARED);
    CHECK_PAGES(m, 1, 0, bytes);
    unsigned long nodes = 1;
    for (int policy : {mpol_bind, mpol_preferred})
      for (int flags : {0, mpol_mf_move, mpol_mf_strict | mpol_mf_move, mpol_mf_move_all}) {
        long got = syscall(SYS_mbind, m, bytes, policy, &nodes, 64, flags);
        if (got != 0 && errno == ENOSYS) SKIP("this kernel has no memory policies");
        (void)!syscall(SYS_mbind, m + leaf + page, page, policy, &nodes, 64, flags);
        CHECK_PAGES(m, 1, 0, bytes);
      }
    int mode = -1;
    (void)!syscall(SYS_get_mempolicy, &mode, nullptr, 0, m, mpol_f_addr);
    (void)!syscall(SYS_get_mempolicy, &mode, nullptr, 0, m, mpol_f_addr | mpol_f_node);
    CHECK_FILLED(m, 1, 0, bytes);
    SYS(munmap(m, bytes));
  }
  check_file(fd, 1, 0, bytes);
}

TEST(numa_move_pages) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, bytes);
  std::vector<void*> pages;
  for (size_t at = 0; at < bytes; at += 50 * page) pages.push_back(m + at);
  std::vector<int> nodes(pages.size(), 0), status(pages.size(), -1);
  if (syscall(SYS_move_pages, 0, pages.size(), pages.data(), nullptr, status.data(), 0) != 0 &&
      errno == ENOSYS)
    SKIP("this kernel has no move_pages");
  for (int flags : {mpol_mf_move, mpol_mf_move_all}) {
    (void)!syscall(SYS_move_pages, 0, pages.size(), pages.data(), nodes.data(), status.data(),
                   flags);
    CHECK_FILLED(m, 1, 0, bytes);
  }
  unsigned long from = 1, to = 1;
  (void)!syscall(SYS_migrate_pages, 0, 64, &from, &to);
  fill(m, 2, 0, bytes);
  check_file(fd, 2, 0, bytes);
}

// Whatever the process prefers, and wherever it runs.
TEST(numa_mount_binds) {
  for (int node : nodes_or_skip())
    for (const char* policy :
         {"bind:", "prefer:", "bind=static:", "interleave:", "prefer (many):"}) {
      std::string option = with_node(policy, node);
      mount_with("n", "size=64m,mpol=" + option);
      check_new_files(node, option);
      if (nodes_or_skip().size() > 1)
        as_task(other_of(node), mpol_bind, other_of(node),
                [&] { check_new_files(node, option + ", elsewhere"); });
      SYS(umount("n"));
    }
}

TEST(numa_mount_refuses_absent_node) {
  int absent = int(nodes_or_skip().size());
  for (const char* policy : {"bind:", "prefer:", "interleave:", "bind:0-", "bind:0,"})
    CHECK_EQ(try_mount("n", "mpol=" + with_node(policy, absent)), EINVAL);
}

// The node whose CPU writes (`local`), or what the process says (`default`).
TEST(numa_mount_local_and_default) {
  for (int node : nodes_or_skip()) {
    int other = nodes_or_skip().size() > 1 ? other_of(node) : node;
    mount_with("n", "size=64m,mpol=local");
    as_task(node, 0, 0, [&] { check_new_files(node, "local"); });
    as_task(node, mpol_bind, other, [&] { check_new_files(node, "local, bound elsewhere"); });
    SYS(umount("n"));
    mount_with("n", "size=64m,mpol=default");
    as_task(node, 0, 0, [&] { check_new_files(node, "default"); });
    as_task(node, mpol_bind, other, [&] { check_new_files(other, "default, bound elsewhere"); });
    SYS(umount("n"));
  }
}

// Neighbours lie on different nodes: 2-MiB slots where they are large, pages elsewhere. Files begin
// on different ones, by their numbers.
TEST(numa_mount_interleaves) {
  if (nodes_or_skip().size() < 2) SKIP("one node");
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
  constexpr size_t size = 7 * leaf + 6 * page, slot_pages = leaf / page;
  for (const char* policy : {"interleave", "interleave:0-1", "interleave:0,1"}) {
    mount_with("n", std::string("size=64m,mpol=") + policy);
    for (const char* name : {"n/f", "n/g"}) {
      int fd = make_file(name, 1, size);
      std::vector<int> nodes = nodes_of(fd, size);
      for (size_t i = 0; i < nodes.size(); i++) {
        bool large = harness::fills_huge_leaves() && i < 7 * slot_pages;
        int expected = int((status(fd).st_ino + (large ? i / slot_pages : i)) % 2);
        if (nodes[i] != expected)
          FAIL("%s: page %zu: expected on node %d, seen %d", policy, i, expected, nodes[i]);
      }
      check_file(fd, 1, 0, size);
      close(fd);
    }
    SYS(umount("n"));
  }
}

// What is there stays; what comes follows the new policy, in old files too.
TEST(numa_mount_policy_changes) {
  if (nodes_or_skip().size() < 2) SKIP("one node");
  mount_with("n", "size=64m,mpol=bind:0");
  int fd = make_file("n/f", 1, 2 * leaf);
  check_node(fd, 0, "bind:0", 2 * leaf);
  remount("mpol=bind:1");
  check_new_files(1, "bind:1");
  check_node(fd, 0, "before the remount", 2 * leaf);
  write_filled(fd, 1, 2 * leaf, 2 * leaf);
  if (harness::is_morselfs()) check_node(fd, 1, "behind the old end", 2 * leaf, 2 * leaf);
  remount("size=32m");
  check_new_files(1, "still bind:1");
  if (harness::is_morselfs()) {
    remount("mpol=default");
    as_task(1, mpol_bind, 0, [&] { check_new_files(0, "default"); });
  }
  check_file(fd, 1, 0, 4 * leaf);
  close(fd);
  SYS(umount("n"));
}

// The policy is read while it changes; each of them is one that was given.
TEST(numa_mount_policy_changes_against_fills) {
  std::vector<int> nodes = nodes_or_skip();
  mount_with("n", "size=256m,mpol=bind:0");
  auto* gate = shared<Gate>();
  pid_t writers[4];
  for (int i = 0; i < 4; i++)
    writers[i] = harness::spawn([&, i] {
      std::string name = "n/" + std::to_string(i);
      while (!gate->count) {
        int fd = make_file(name.c_str(), 1, 2 * leaf + page);
        SYS(ftruncate(fd, 4 * leaf));
        char* m = map(fd, 4 * leaf, rw, MAP_SHARED);
        fill(m + 2 * leaf, 1, 2 * leaf, 2 * leaf);
        fill(m + 2 * leaf - page, 1, 2 * leaf - page, page);
        check_file(fd, 1, 0, 4 * leaf);
        SYS(munmap(m, 4 * leaf));
        close(fd);
        SYS(unlink(name.c_str()));
      }
    });
  std::string last = std::to_string(nodes.back());
  for (int i = 0; i < 200; i++) {
    for (const std::string& policy : {"bind:" + last, std::string("interleave"), "prefer:" + last,
                                      std::string("local"), std::string("bind:0")})
      remount("mpol=" + policy);
    usleep(1000);
  }
  gate->open();
  for (pid_t writer : writers) harness::join(writer);
  SYS(umount("n"));
}
