// SPDX-License-Identifier: MIT
//
// The info ioctl: what it refuses, and that it counts rightly. Only on morselfs.
#include <cstddef>

#include "memory.h"

namespace {

constexpr size_t bytes = 5 * leaf + 7 * page;

void check_unmapped(int fd) {
  morselfs_info i = info(fd);
  CHECK_EQ(i.mappings, 0);
  CHECK_EQ(i.graft_pud_slots, 0);
  CHECK_EQ(i.graft_pmd_slots, 0);
  CHECK_EQ(i.raw_pages, 0);
  CHECK_EQ(i.grafted_bytes, 0);
  CHECK_EQ(i.self_grafted_bytes, 0);
}

// All of a touched mapping is grafted, in whatever units.
void check_mapped(const morselfs_info& i, uint64_t mapped, uint64_t own) {
  CHECK_EQ(i.grafted_bytes, mapped);
  CHECK_EQ(i.self_grafted_bytes, own);
  CHECK_EQ(i.graft_pud_slots * slot + i.graft_pmd_slots * leaf + i.raw_pages * page, mapped);
}

}  // namespace

TEST(info_bad_arguments) {
  int fd = make_file("f", 1, bytes);
  (void)info(fd);
  SYS_ERR(ioctl(fd, MORSELFS_IOC_INFO, nullptr), EFAULT);
  SYS_ERR(ioctl(fd, MORSELFS_IOC_INFO, static_cast<char*>(MAP_FAILED) - 4095), EFAULT);
  char* edge = map(-1, 2 * page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  SYS(munmap(edge + page, page));
  auto* cut = reinterpret_cast<morselfs_info*>(edge + page - 8);
  cut->size = sizeof *cut;  // the rest of it is not there
  SYS_ERR(ioctl(fd, MORSELFS_IOC_INFO, cut), EFAULT);
  SYS(mprotect(edge, page, PROT_READ));
  SYS_ERR(ioctl(fd, MORSELFS_IOC_INFO, edge), EINVAL);  // its size is 0
  morselfs_info i{};
  for (uint32_t size : {0u, 1u, 4u, 7u}) {
    i.size = size;
    SYS_ERR(ioctl(fd, MORSELFS_IOC_INFO, &i), EINVAL);
  }
  SYS_ERR(ioctl(fd, _IOWR('m', 200, struct morselfs_info), &i), ENOTTY);
  SYS_ERR(ioctl(fd, _IO('q', 1), &i), ENOTTY);
}

TEST(info_read_only_memory) {
  int fd = make_file("f", 1, page);
  (void)info(fd);
  auto* i = reinterpret_cast<morselfs_info*>(map(-1, page, rw, MAP_PRIVATE | MAP_ANONYMOUS));
  i->size = sizeof *i;
  SYS(mprotect(i, page, PROT_READ));
  SYS_ERR(ioctl(fd, MORSELFS_IOC_INFO, i), EFAULT);
}

TEST(info_larger_structure) {
  int fd = make_file("f", 1, bytes);
  (void)info(fd);
  struct {
    morselfs_info known;
    unsigned char beyond[64];
  } larger{};
  memset(larger.beyond, 0xa5, sizeof larger.beyond);
  larger.known.size = sizeof larger;
  SYS(ioctl(fd, MORSELFS_IOC_INFO, &larger));
  CHECK_EQ(larger.known.size, sizeof larger.known);
  CHECK_EQ(larger.known.bytes, bytes);
  for (unsigned char byte : larger.beyond) CHECK_EQ(byte, 0xa5);  // not touched
  CHECK_EQ(larger.known.flags, 0);
}

// A program that was built when the structure ended with the grafts.
TEST(info_first_structure) {
  constexpr size_t first = offsetof(morselfs_info, promoted);
  int fd = make_file("f", 1, bytes);
  morselfs_info whole = info(fd);
  CHECK_EQ(whole.size, sizeof whole);
  CHECK_EQ(whole.reserved, 0);
  CHECK_EQ(whole.huge, MORSELFS_HUGE_MOUNT);
  morselfs_info old;
  memset(&old, 0xa5, sizeof old);
  old.size = first;
  old.flags = 0;
  SYS(ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, 'm', 1, first), &old));
  CHECK_EQ(old.size, first);
  CHECK_EQ(old.bytes, bytes);
  CHECK_EQ(old.leaves_4k, whole.leaves_4k);
  CHECK_EQ(old.leaves_2m, whole.leaves_2m);
  auto* raw = reinterpret_cast<unsigned char*>(&old);
  for (size_t at = first; at < sizeof old; at++) CHECK_EQ(raw[at], 0xa5);  // not touched
  old.flags = 0;
  old.size = first - 1;
  SYS_ERR(ioctl(fd, MORSELFS_IOC_INFO, &old), EINVAL);
}

TEST(info_leaves_and_tables) {
  int fd = make_sparse("f", bytes);
  morselfs_info i = info(fd);
  CHECK_EQ(i.bytes, bytes);
  CHECK_EQ(i.leaves_4k + i.leaves_2m, 0);
  write_filled(fd, 1, 0, bytes);
  i = info(fd);
  struct stat st;
  SYS(fstat(fd, &st));
  CHECK_EQ(i.leaves_4k * page + i.leaves_2m * leaf, st.st_blocks * 512);
  CHECK_EQ(st.st_blocks * 512, bytes);
  if (!harness::leaves_move())  // the rest has no whole slot
    CHECK_EQ(i.leaves_2m, harness::fills_huge_leaves() ? 5 : 0);
  map(fd, bytes, rw, MAP_SHARED);
  CHECK(info(fd).table_bytes > 0);
  CHECK_EQ(info(fd).table_bytes % page, 0);
  // Two twins, each with a table per 2 MiB and some above them.
  CHECK(info(fd).table_bytes <= 2 * page * (bytes / leaf + 1 + 4));
  SYS(ftruncate(fd, page));
  i = info(fd);
  CHECK_EQ(i.bytes, page);
  CHECK_EQ(i.leaves_4k * page + i.leaves_2m * leaf, page);
}

TEST(info_counts_grafts) {
  int fd = make_file("f", 1, bytes);
  check_unmapped(fd);
  char* m = reserve(bytes, leaf);
  map(fd, bytes, rw, MAP_SHARED | MAP_FIXED, 0, m);
  CHECK_PAGES(m, 1, 0, bytes);
  CHECK_EQ(info(fd).mappings, 1);
  check_mapped(info(fd), bytes, bytes);
  CHECK_EQ(info(fd).graft_pmd_slots, 5);
  CHECK_EQ(info(fd).raw_pages, 7);

  auto* gates = static_cast<Gate*>(shared_memory(2 * sizeof(Gate)));
  pid_t child = harness::spawn([&] {
    char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
    CHECK_PAGES(r, 1, 0, bytes);
    CHECK_PAGES(m, 1, 0, bytes);
    check_mapped(info(fd), 3 * bytes, 2 * bytes);
    gates[0].open();
    gates[1].wait();
  });
  gates[0].wait();
  CHECK_EQ(info(fd).mappings, 3);
  check_mapped(info(fd), 3 * bytes, bytes);
  gates[1].open();
  harness::join(child);
  CHECK_EQ(info(fd).mappings, 1);
  check_mapped(info(fd), bytes, bytes);
  SYS(munmap(m, bytes));
  check_unmapped(fd);
}

TEST(info_after_sigkill) {
  int fd = make_file("f", 1, bytes);
  (void)info(fd);
  auto* gate = shared<Gate>();
  pid_t child = harness::spawn([&] {
    CHECK_PAGES(map(fd, bytes, rw, MAP_SHARED), 1, 0, bytes);
    CHECK_PAGES(map(fd, bytes, PROT_READ, MAP_SHARED), 1, 0, bytes);
    gate->open();
    pause();
  });
  gate->wait();
  CHECK_EQ(info(fd).mappings, 2);
  CHECK_EQ(info(fd).grafted_bytes, 2 * bytes);
  CHECK_EQ(info(fd).self_grafted_bytes, 0);
  SYS(kill(child, SIGKILL));
  harness::join_killed(child, SIGKILL);
  check_unmapped(fd);
}

TEST(info_after_exec) {
  int fd = make_file("f", 1, bytes);
  (void)info(fd);
  auto* gate = shared<Gate>();
  pid_t child = harness::spawn([&] {
    CHECK_PAGES(map(fd, bytes, rw, MAP_SHARED), 1, 0, bytes);
    int ends[2];
    SYS(pipe(ends));
    dup2(ends[0], 0);
    gate->open();
    execl("/proc/self/exe", "again", "--quiet", "--wait", nullptr);
  });
  gate->wait();
  while (info(fd).mappings)  // gone with the old program, while the process lives
    usleep(1000);
  check_unmapped(fd);
  SYS(kill(child, SIGKILL));
  harness::join_killed(child, SIGKILL);
}

// After a split only the slot that was cut is not grafted as a slot any more.
TEST(info_after_split) {
  int fd = make_file("f", 1, bytes);
  char* m = reserve(bytes, leaf);
  map(fd, bytes, rw, MAP_SHARED | MAP_FIXED, 0, m);
  CHECK_PAGES(m, 1, 0, bytes);
  SYS(munmap(m + 2 * leaf + 100 * page, page));
  CHECK_PAGES(m, 1, 0, 2 * leaf + 100 * page);
  CHECK_PAGES(m + 2 * leaf + 101 * page, 1, 2 * leaf + 101 * page, 3 * leaf - 94 * page);
  morselfs_info i = info(fd);
  CHECK_EQ(i.mappings, 2);
  CHECK_EQ(i.graft_pmd_slots, 4);
  CHECK(i.self_grafted_bytes >= 4 * leaf && i.self_grafted_bytes <= bytes - page);
  SYS(munmap(m, bytes));
  check_unmapped(fd);
}

TEST(info_who_may_not_be_grafted) {
  int fd = make_file("f", 1, bytes);
  (void)info(fd);
  // hazards.md rule 4: private, executable, without read permission.
  char* p = map(fd, bytes, rw, MAP_PRIVATE);
  CHECK_PAGES(p, 1, 0, bytes);
  CHECK_EQ(info(fd).grafted_bytes, 0);
  char* n = map(fd, bytes, PROT_NONE, MAP_SHARED);
  CHECK_SIGNAL_READ(n, SIGSEGV);
  CHECK_EQ(info(fd).grafted_bytes, 0);
  void* x = mmap(nullptr, bytes, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
  if (x != MAP_FAILED) {
    CHECK_PAGES(static_cast<char*>(x), 1, 0, bytes);
    CHECK_EQ(info(fd).grafted_bytes, 0);
  }
  // A read-only mapping of an O_RDONLY descriptor is grafted (llama.cpp's case).
  int reader = SYS(open("f", O_RDONLY));
  char* r = map(reader, bytes, PROT_READ, MAP_SHARED);
  CHECK_PAGES(r, 1, 0, bytes);
  CHECK_EQ(info(fd).grafted_bytes, bytes);
}

TEST(info_other_kinds_of_files) {
  int fd = make_file("f", 1, page);
  (void)info(fd);
  morselfs_info i{};
  i.size = sizeof i;
  int dir = SYS(open(".", O_RDONLY | O_DIRECTORY));
  SYS_ERR(ioctl(dir, MORSELFS_IOC_INFO, &i), ENOTTY);
  int path = SYS(open("f", O_PATH));
  SYS_ERR(ioctl(path, MORSELFS_IOC_INFO, &i), EBADF);
  int reader = SYS(open("f", O_RDONLY));
  SYS(ioctl(reader, MORSELFS_IOC_INFO, &i));
  CHECK_EQ(i.bytes, page);
}
