// SPDX-License-Identifier: MIT
//
// Memory cgroups: who makes a page of a file is charged for it, whoever uses it later is not;
// tables are charged like data; at the limit somebody of the group dies, and nobody and nothing
// else.
#include <sys/wait.h>

#include "accounting.h"

using namespace accounting;

namespace {

const std::string root = "/sys/fs/cgroup";

void need_cgroups() {
  std::string controllers = read_text(root + "/cgroup.controllers");
  if (controllers.empty()) SKIP("there is no cgroup2 on %s", root.c_str());
  if (controllers.find("memory") == controllers.npos) SKIP("cgroup2 has no memory controller");
  if (!write_text(root + "/cgroup.subtree_control", "+memory"))
    SKIP("can't make memory cgroups: %s", strerror(errno));
}

// A group for the test; removed with it, or, if it failed, by the next one of this name.
class Group {
 public:
  explicit Group(const std::string& name, const Group* parent = nullptr)
      : path(parent ? parent->path + "/" + name : root + "/morsels-" + name) {
    rmdir(path.c_str());
    if (mkdir(path.c_str(), 0755) != 0) SKIP("can't make %s: %s", path.c_str(), strerror(errno));
  }
  ~Group() { remove(); }

  void remove() {
    if (gone) return;
    if (!soon([&] { return rmdir(path.c_str()) == 0; }))
      FAIL("rmdir %s: expected success, seen %s", path.c_str(), strerror(errno));
    gone = true;
  }
  void set(const char* file, const std::string& value) const {
    if (!write_text(path + "/" + file, value))
      FAIL("%s/%s: expected to take '%s', seen %s", path.c_str(), file, value.c_str(),
           strerror(errno));
  }
  void try_to_set(const char* file, const std::string& value) const {
    (void)write_text(path + "/" + file, value);
  }
  int64_t current() const { return number_after(read_text(path + "/memory.current"), ""); }
  int64_t number(const char* file, const char* key) const {
    return number_after(read_text(path + "/" + file), std::string(key) + " ");
  }

  // A child in the group.
  template <class F>
  pid_t spawn(F&& body) const {
    return harness::spawn([&] {
      set("cgroup.procs", "0");
      body();
    });
  }
  template <class F>
  void in_child(F&& body) const {
    harness::join(spawn(body));
  }

 private:
  std::string path;
  bool gone = false;
};

// What a group may have beside the file: some pages that each CPU has charged in advance, small
// things of the kernel, a process.
int64_t slack() { return int64_t(1 * mib + size_t(sysconf(_SC_NPROCESSORS_CONF)) * 64 * page); }

void expect_charge(const char* what, const Group& group, int64_t bytes) {
  int64_t seen = group.current();
  if (seen < bytes - slack() / 2 || seen > bytes + slack())
    FAIL("%s: expected a charge of %lld (+ %lld), seen %lld", what, (long long)bytes,
         (long long)slack(), (long long)seen);
}

void expect_none_soon(const char* what, const Group& group) {
  if (!soon([&] { return group.current() <= slack(); }))
    FAIL("%s: expected next to nothing charged, seen %lld", what, (long long)group.current());
}

constexpr int64_t bytes = 16 * mib;
constexpr int64_t limit = 16 * mib;

// A process of a group takes more of the mount than its group may: it dies. One outside that has
// the same file mapped, the mount, and everything in it, stay.
template <class F>
void check_limit(F&& take) {
  need_cgroups();
  mount_second("n");
  Group group("limited");
  group.set("memory.max", std::to_string(limit));
  group.try_to_set("memory.swap.max", "0");  // where there is swap
  int kept = make_file("n/kept", 2, 2 * leaf + 3 * page);
  int fd = make_file("n/f", 1, page);
  auto* gates = static_cast<Gate*>(shared_memory(2 * sizeof(Gate)));
  pid_t bystander = harness::spawn([&] {
    char* m = map(kept, 2 * leaf + 3 * page, rw, MAP_SHARED);
    char* f = map(fd, page, rw, MAP_SHARED);
    CHECK_PAGES(m, 2, 0, 2 * leaf + 3 * page);
    gates[0].open();
    gates[1].wait();
    CHECK_PAGES(m, 2, 0, 2 * leaf + 3 * page);
    CHECK_PAGES(f, 1, 0, page);
    CHECK_EQ(write(SYS(open("n/later", O_CREAT | O_RDWR, 0644)), "x", 1), 1);
  });
  gates[0].wait();
  uint64_t before = used_bytes("n");
  harness::join_killed(group.spawn([&] { take(fd); }), SIGKILL);
  CHECK(group.number("memory.events", "oom_kill") >= 1);
  CHECK(group.current() <= limit);
  CHECK(used_bytes("n") - before <= uint64_t(limit));
  CHECK(used_bytes("n") - before >= uint64_t(limit) / 2);  // and not for another reason
  gates[1].open();
  harness::join(bystander);
  CHECK_EQ(used_bytes("n") % page, 0);
  check_file(kept, 2, 0, 2 * leaf + 3 * page);

  // What it made is still there, and still paid for by the group, until somebody removes it.
  struct stat st;
  SYS(fstat(fd, &st));
  auto* words =
      reinterpret_cast<volatile uint64_t*>(map(fd, size_t(st.st_size), PROT_READ, MAP_PRIVATE));
  for (size_t at = 0; at < size_t(st.st_size); at += page)
    if (off_t data = lseek(fd, off_t(at), SEEK_DATA); data != off_t(at))
      at = (data < 0 ? size_t(st.st_size) : size_t(data)) - page;
    else if (uint64_t seen = words[at / 8]; seen && seen != word_at(1, at))
      FAIL("page 0x%zx: expected its contents or zero, seen 0x%llx", at, (unsigned long long)seen);
  munmap(const_cast<uint64_t*>(words), size_t(st.st_size));
  for (const char* name : {"n/f", "n/kept", "n/later"}) SYS(unlink(name));
  close(fd);
  close(kept);
  expect_none_soon("after unlink", group);
  SYS(umount("n"));
}

}  // namespace

TEST(accounting_cgroup_of_the_writer) {
  need_cgroups();
  Group maker("maker"), user("user");
  maker.in_child([] { close(make_file("f", 1, bytes)); });
  expect_charge("writer", maker, bytes);
  user.in_child([&] {
    int64_t alone = user.current();
    int fd = SYS(open("f", O_RDWR));
    char* m = map(fd, bytes, rw, MAP_SHARED);
    CHECK_PAGES(m, 1, 0, bytes);
    check_file(fd, 1, 0, bytes);
    fill(m, 2, 0, bytes / 16);
    CHECK(user.current() - alone < slack());
  });
  expect_charge("user", user, 0);
  expect_charge("writer, of what is used", maker, bytes);
  SYS(unlink("f"));
  expect_none_soon("writer, after unlink", maker);
}

// A hole that is filled by a store into a mapping, in a file of somebody else's.
TEST(accounting_cgroup_of_who_fills_a_hole) {
  need_cgroups();
  Group maker("maker"), filler("filler");
  maker.in_child([] { close(make_sparse("f", bytes)); });
  filler.in_child([] {
    char* m = map(SYS(open("f", O_RDWR)), bytes, rw, MAP_SHARED);
    for (size_t at = 0; at < bytes; at += page) m[at] = 1;
  });
  expect_charge("maker", maker, 0);
  expect_charge("filler", filler, bytes);
  SYS(unlink("f"));
  expect_none_soon("filler, after unlink", filler);
}

// Tables are charged: of a page in each 2-MiB slot they are twice as large as the data.
TEST(accounting_cgroup_of_tables) {
  if (!harness::is_morselfs()) SKIP("about the tables of a file, which only morselfs has");
  need_cgroups();
  constexpr size_t count = 768;
  Group maker("maker");
  maker.in_child([] {
    int fd = make_sparse("f", 0);
    for (size_t i = 0; i < count; i++)  // appended: 4-KiB leaves, whatever the mount says
      CHECK_EQ(pwrite(fd, "x", 1, off_t(i * leaf)), 1);
  });
  int fd = SYS(open("f", O_RDWR));
  morselfs_info i = info(fd);
  CHECK_EQ(i.leaves_4k, count);
  CHECK(i.table_bytes >= 2 * count * page);
  expect_charge("data and tables", maker, int64_t(count * page + i.table_bytes));
  // memory.stat is brought up to date every two seconds.
  CHECK(soon([&] { return maker.number("memory.stat", "pagetables") >= int64_t(i.table_bytes); }));
  SYS(unlink("f"));
  close(fd);
  expect_none_soon("after unlink", maker);
}

// A group that is removed leaves its files, and the charge, to the group above.
TEST(accounting_cgroup_of_a_removed_group) {
  need_cgroups();
  Group parent("parent");
  parent.set("cgroup.subtree_control", "+memory");
  Group child("child", &parent);
  child.in_child([] { close(make_file("f", 1, bytes)); });
  child.remove();
  expect_charge("parent", parent, bytes);
  check_file(SYS(open("f", O_RDONLY)), 1, 0, bytes);
  harness::in_child([] { CHECK_EQ(truncate("f", 0), 0); });
  expect_none_soon("parent, after truncation", parent);
}

TEST(accounting_cgroup_limit_of_a_writer) {
  check_limit([](int fd) { write_filled(fd, 1, 0, 4 * limit); });
}

TEST(accounting_cgroup_limit_of_a_filler) {
  check_limit([](int fd) {
    SYS(ftruncate(fd, 4 * limit));
    char* m = map(fd, 4 * limit, rw, MAP_SHARED);
    for (size_t at = 0; at < 4 * limit; at += page)
      *reinterpret_cast<volatile uint64_t*>(m + at) = word_at(1, at);
  });
}
