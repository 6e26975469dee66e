// SPDX-License-Identifier: MIT
//
// One consistent story: statfs, stat, the info ioctl, /sys/fs/morselfs, /proc/meminfo and what
// /proc says of a process agree on what is used, by what. docs/operations.md tells it.
#include <sys/wait.h>

#include <vector>

#include "accounting.h"

using namespace accounting;

namespace {

constexpr const char* all_mounts = "/sys/fs/morselfs";
constexpr const char* names[] = {
    "size_bytes",      "used_bytes",      "inodes_limit",   "inodes_used",
    "table_bytes",     "leaves_4k",       "leaves_2m",      "mappings",
    "graft_pud_slots", "graft_pmd_slots", "raw_pages",      "grafted_bytes",
    "promoted",        "demoted",         "promote_failed", "dma_bufs"};

void need_morselfs() {
  if (!harness::is_morselfs()) SKIP("about /sys/fs/morselfs");
}

// Where sysfs shows the mount that this is on.
std::string sysfs_of(const char* at) {
  struct stat st;
  SYS(stat(at, &st));
  return std::string(all_mounts) + "/" + std::to_string(major(st.st_dev)) + ":" +
         std::to_string(minor(st.st_dev));
}

uint64_t number(const std::string& directory, const char* name) {
  std::string text = read_text(directory + "/" + name);
  char* end = nullptr;
  uint64_t value = strtoull(text.c_str(), &end, 10);
  if (text.empty() || strcmp(end, "\n") != 0)
    FAIL("%s/%s: expected one number, seen '%s'", directory.c_str(), name, text.c_str());
  return value;
}

// All ways of asking about a mount agree.
void check_story(const char* at, const std::vector<int>& files) {
  std::string sysfs = sysfs_of(at);
  uint64_t blocks = 0;
  morselfs_info sum{};
  for (int fd : files) {
    struct stat st;
    SYS(fstat(fd, &st));
    blocks += uint64_t(st.st_blocks);
    morselfs_info i = info(fd);
    sum.leaves_4k += i.leaves_4k;
    sum.leaves_2m += i.leaves_2m;
    sum.table_bytes += i.table_bytes;
    sum.mappings += i.mappings;
    sum.graft_pud_slots += i.graft_pud_slots;
    sum.graft_pmd_slots += i.graft_pmd_slots;
    sum.raw_pages += i.raw_pages;
    sum.grafted_bytes += i.grafted_bytes;
    sum.promoted += i.promoted;
    sum.demoted += i.demoted;
    sum.promote_failed += i.promote_failed;
  }
  struct statfs s;
  SYS(statfs(at, &s));
  CHECK_EQ(used_bytes(at), blocks * 512);
  CHECK_EQ(number(sysfs, "used_bytes"), blocks * 512);
  CHECK_EQ(number(sysfs, "size_bytes"), s.f_blocks * page);
  CHECK_EQ(number(sysfs, "inodes_limit"), s.f_files);
  CHECK_EQ(number(sysfs, "inodes_used"), s.f_files - s.f_ffree);
  CHECK_EQ(number(sysfs, "leaves_4k"), sum.leaves_4k);
  CHECK_EQ(number(sysfs, "leaves_2m"), sum.leaves_2m);
  CHECK_EQ(number(sysfs, "table_bytes"), sum.table_bytes);
  CHECK_EQ(number(sysfs, "mappings"), sum.mappings);
  CHECK_EQ(number(sysfs, "graft_pud_slots"), sum.graft_pud_slots);
  CHECK_EQ(number(sysfs, "graft_pmd_slots"), sum.graft_pmd_slots);
  CHECK_EQ(number(sysfs, "raw_pages"), sum.raw_pages);
  CHECK_EQ(number(sysfs, "grafted_bytes"), sum.grafted_bytes);
  // Of files that are gone, too.
  CHECK(number(sysfs, "promoted") >= sum.promoted);
  CHECK(number(sysfs, "demoted") >= sum.demoted);
  CHECK(number(sysfs, "promote_failed") >= sum.promote_failed);
}

int64_t meminfo(const char* key) {
  return number_after(read_text("/proc/meminfo"), std::string(key) + ":") * 1024;
}

// What no zone counts as free, but lies ready in the lists of its CPUs.
int64_t ready_bytes() {
  std::string zones = read_text("/proc/zoneinfo");
  int64_t pages = 0;
  for (size_t at = 0; (at = zones.find(" count:", at)) != zones.npos; at++)
    pages += atoll(zones.c_str() + at + 7);
  return pages * int64_t(page);
}

// The counters of the CPUs are added up only now and then.
void refresh() { (void)read_text("/proc/sys/vm/stat_refresh"); }

struct Memory {
  int64_t free, available, cached, shared, anonymous, tables;
};
Memory memory() {
  refresh();
  int64_t ready = ready_bytes();
  return {meminfo("MemFree") + ready,
          meminfo("MemAvailable") + ready,
          meminfo("Cached") + meminfo("Buffers") + meminfo("SwapCached"),
          meminfo("Shmem"),
          meminfo("AnonPages"),
          meminfo("PageTables")};
}

void expect_about(const char* what, int64_t seen, int64_t expected, int64_t slack) {
  if (seen < expected - slack || seen > expected + slack)
    FAIL("%s: expected %lld +/- %lld, seen %lld", what, (long long)expected, (long long)slack,
         (long long)seen);
}

// Fields of the mapping that begins at `at`, in bytes.
int64_t smaps(const char* at, const char* key) {
  std::string all = read_text("/proc/self/smaps");
  char begin[32];
  snprintf(begin, sizeof begin, "%lx-", (unsigned long)at);
  auto from = all.find(begin);
  if (from == all.npos) FAIL("expected the mapping at %p in smaps", (const void*)at);
  return number_after(all.substr(from), std::string(key) + ":") * 1024;
}

}  // namespace

TEST(accounting_one_story) {
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
  need_morselfs();
  mount_second("n");
  std::string sysfs = sysfs_of("n");
  CHECK_EQ(number(sysfs, "inodes_used"), 1);  // the root
  constexpr size_t bytes = 5 * leaf + 7 * page;
  int data = make_file("n/data", 1, bytes), sparse = make_sparse("n/sparse", 2 * slot);
  SYS(mkdir("n/d", 0755));
  SYS(symlink("data", "n/link"));
  std::vector<int> files{data, sparse};
  check_story("n", files);
  CHECK_EQ(number(sysfs, "used_bytes"), bytes);
  CHECK_EQ(number(sysfs, "leaves_2m"), harness::fills_huge_leaves() ? 5 : 0);

  char* m = map_at(Place::fits, data, bytes, rw);
  char* odd = map_at(Place::odd, data, bytes, PROT_READ);
  char* holes = map_at(Place::slot, sparse, bytes, rw);
  CHECK_PAGES(m, 1, 0, bytes);
  CHECK_PAGES(odd, 1, 0, bytes);
  for (size_t at = 0; at < slot; at += 64 * leaf) holes[at] = 1;
  check_story("n", files);
  CHECK_EQ(number(sysfs, "mappings"), 3);
  CHECK_EQ(number(sysfs, "graft_pmd_slots"), 5);
  CHECK_EQ(number(sysfs, "graft_pud_slots"), 1);
  harness::in_child([&] {
    CHECK_PAGES(m, 1, 0, bytes);
    check_story("n", files);
    CHECK_EQ(number(sysfs, "mappings"), 6);
  });
  check_story("n", files);

  SYS(munmap(m + leaf + page, page));  // a mapping more, until it is used not grafted
  check_story("n", files);
  CHECK_PAGES(m, 1, 0, leaf);
  SYS(fallocate(data, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page, leaf));
  SYS(ftruncate(sparse, slot / 2 + leaf + page));
  check_story("n", files);
  for (char* one : {m, odd}) SYS(munmap(one, bytes));
  SYS(munmap(holes, slot));
  SYS(ftruncate(data, 3 * leaf + page));
  check_story("n", files);
  for (const char* name : {"mappings", "graft_pud_slots", "graft_pmd_slots", "raw_pages"})
    CHECK_EQ(number(sysfs, name), 0);

  for (int fd : files) close(fd);
  for (const char* name : {"n/data", "n/sparse", "n/link"}) SYS(unlink(name));
  SYS(rmdir("n/d"));
  CHECK(soon([&] { return number(sysfs, "inodes_used") == 1; }));
  check_story("n", {});
  SYS(umount("n"));
}

// Counted without a limit, too.
TEST(accounting_limits_change) {
  need_morselfs();
  mount_second("n", "size=64m,nr_inodes=10");
  std::string sysfs = sysfs_of("n");
  close(make_file("n/f", 1, leaf));
  SYS(mount("none", "n", "", MS_REMOUNT, "size=8m,nr_inodes=0"));
  CHECK_EQ(number(sysfs, "size_bytes"), 8 * mib);
  CHECK_EQ(number(sysfs, "inodes_limit"), 0);
  CHECK_EQ(number(sysfs, "inodes_used"), 2);
  SYS(mkdir("n/d", 0755));
  CHECK_EQ(number(sysfs, "inodes_used"), 3);
  SYS(umount("n"));
}

// What is in a file is missing in MemFree and MemAvailable, and in nothing else that free(1) shows.
TEST(accounting_in_meminfo) {
  constexpr int64_t bytes = 64 * mib, slack = 6 * mib;
  mount_second("n");
  Memory before = memory();
  close(make_file("n/f", 1, bytes));
  Memory now = memory();
  bool morselfs = harness::is_morselfs();
  expect_about("MemFree", before.free - now.free, bytes, slack);
  expect_about("MemAvailable", before.available - now.available, bytes, slack);
  expect_about("Cached and Buffers", now.cached - before.cached, morselfs ? 0 : bytes, slack);
  expect_about("Shmem", now.shared - before.shared, morselfs ? 0 : bytes, slack);
  expect_about("AnonPages", now.anonymous - before.anonymous, 0, slack);
  if (morselfs) {
    auto tables = int64_t(number(sysfs_of("n"), "table_bytes"));
    CHECK(tables >= (harness::fills_huge_leaves() ? 2 * int64_t(page) : bytes / 256));
    expect_about("PageTables", now.tables - before.tables, tables, 64 * int64_t(page));
  }
  SYS(unlink("n/f"));
  if (!soon([&] { return memory().available > before.available - slack; }))
    FAIL("MemAvailable: expected about %lld as before, seen %lld", (long long)before.available,
         (long long)memory().available);
  SYS(umount("n"));
}

// A small file takes an inode, a name and its pages; one of more than a page a node or two that
// lead to them; and no page tables until it is mapped.
TEST(accounting_of_small_files) {
  constexpr size_t count = 8000;
  mount_second("n", "size=256m,nr_inodes=20000");
  for (size_t pages : {1, 3}) {
    auto name = [](size_t i) { return "n/" + std::to_string(i); };
    Memory before = memory();
    for (size_t i = 0; i < count; i++) close(make_file(name(i).c_str(), 1, pages * page));
    Memory now = memory();
    CHECK_EQ(used_bytes("n"), count * pages * page);
    int64_t each = (before.free - now.free) / int64_t(count);
    printf("# a file of %zu pages takes %lld bytes\n", pages, (long long)each);
    fflush(stdout);
    expect_about("a small file", each, int64_t(pages * page), int64_t(page));
    expect_about("PageTables", now.tables - before.tables, 0, 64 * int64_t(page));
    if (harness::is_morselfs()) CHECK_EQ(number(sysfs_of("n"), "table_bytes"), 0);
    for (size_t i = 0; i < count; i++) SYS(unlink(name(i).c_str()));
    CHECK(soon([] { return used_bytes("n") == 0; }));
  }
  SYS(umount("n"));
}

// smaps looks at the tables, and so at grafts: Rss is the size at once. It takes every page for the
// process's own, so Pss is not divided by those who share. VmRSS counts faults, of which there are
// none.
TEST(accounting_of_a_process) {
  need_morselfs();
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
  constexpr int64_t bytes = 32 * mib;
  int fd = make_file("f", 1, bytes);
  long rss = status_kib("VmRSS"), size = status_kib("VmSize"), tables = status_kib("VmPTE");
  char* m = reserve(bytes, slot);  // one fault does it, as it crosses no 1-GiB boundary
  map(fd, bytes, rw, MAP_SHARED | MAP_FIXED, 0, m);
  CHECK_EQ(*reinterpret_cast<volatile uint64_t*>(m), word_at(1, 0));
  CHECK_EQ(info(fd).self_grafted_bytes, bytes);
  for (const char* key : {"Size", "Rss", "Pss", "Private_Dirty"}) CHECK_EQ(smaps(m, key), bytes);
  for (const char* key : {"Shared_Clean", "Shared_Dirty", "Private_Clean", "Anonymous", "Swap"})
    CHECK_EQ(smaps(m, key), 0);
  CHECK(number_after(read_text("/proc/self/smaps_rollup"), "Rss:") * 1024 >= bytes);
  expect_about("VmSize", status_kib("VmSize") - size, bytes / 1024, 1024);
  CHECK(status_kib("VmRSS") - rss < 2048);
  CHECK(status_kib("VmPTE") - tables < 64);
  harness::in_child([&] {
    int reader = SYS(open("f", O_RDONLY));
    char* r = map(reader, bytes, PROT_READ, MAP_SHARED);
    CHECK_EQ(*reinterpret_cast<volatile uint64_t*>(r), word_at(1, 0));
    for (const char* key : {"Rss", "Pss", "Private_Clean"}) CHECK_EQ(smaps(r, key), bytes);
  });
}

TEST(accounting_sysfs_files) {
  need_morselfs();
  mount_second("n");
  std::string sysfs = sysfs_of("n");
  for (const char* name : names) {
    std::string path = sysfs + "/" + name;
    struct stat st;
    SYS(stat(path.c_str(), &st));
    CHECK_EQ(st.st_mode, S_IFREG | 0444);
    (void)number(sysfs, name);
    SYS_ERR(open(path.c_str(), O_WRONLY), EACCES);
  }
  harness::in_child([&] {
    SYS(setresuid(65534, 65534, 65534));
    for (const char* name : names) (void)number(sysfs, name);
  });
  SYS(umount("n"));
}

// Each mount has its own numbers; a bind mount is the same one.
TEST(accounting_sysfs_of_each_mount) {
  need_morselfs();
  mount_second("n");
  mount_second("o");
  SYS(mkdir("b", 0755));
  SYS(mount("n", "b", nullptr, MS_BIND, nullptr));
  CHECK(sysfs_of("n") != sysfs_of("o"));
  CHECK(sysfs_of("n") == sysfs_of("b"));
  close(make_file("n/f", 1, leaf));
  CHECK_EQ(number(sysfs_of("b"), "used_bytes"), leaf);
  CHECK_EQ(number(sysfs_of("o"), "used_bytes"), 0);
  for (const char* at : {"b", "n", "o"}) SYS(umount(at));
}

// An open file of sysfs holds no mount, and says so when that is gone; also when the next mount has
// got the device number.
TEST(accounting_sysfs_open_at_umount) {
  need_morselfs();
  mount_second("n");
  std::string sysfs = sysfs_of("n");
  std::vector<int> open_files;
  for (const char* name : names)
    open_files.push_back(SYS(open((sysfs + "/" + name).c_str(), O_RDONLY)));
  char byte;
  for (int fd : open_files) CHECK_EQ(pread(fd, &byte, 1, 0), 1);
  int directory = SYS(open(sysfs.c_str(), O_RDONLY | O_DIRECTORY));
  for (bool mounted_again : {false, true}) {
    if (mounted_again)
      SYS(mount("none", "n", "morselfs", 0, nullptr));
    else
      SYS(umount("n"));
    for (int fd : open_files) SYS_ERR(pread(fd, &byte, 1, 0), ENODEV);
    SYS_ERR(openat(directory, "size_bytes", O_RDONLY), ENOENT);
    if (!mounted_again) SYS_ERR(open(sysfs.c_str(), O_RDONLY), ENOENT);
  }
  (void)number(sysfs_of("n"), "size_bytes");
  SYS(umount("n"));
}

TEST(accounting_sysfs_read_while_mounts_come_and_go) {
  need_morselfs();
  mount_second("n");
  std::string sysfs = sysfs_of("n");
  auto* end = shared<Gate>();
  pid_t readers[2];
  for (pid_t& reader : readers)
    reader = harness::spawn([&] {
      while (!__atomic_load_n(&end->count, __ATOMIC_SEQ_CST))
        for (const char* name : names) (void)read_text(sysfs + "/" + name);
    });
  for (int i = 0; i < 30; i++) {
    close(make_file("n/f", 1, 3 * page));
    SYS(umount("n"));
    SYS(mount("none", "n", "morselfs", 0, "size=1m"));
  }
  end->open();
  for (pid_t reader : readers) harness::join(reader);
  SYS(umount("n"));
}
