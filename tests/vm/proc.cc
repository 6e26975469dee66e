// SPDX-License-Identifier: MIT
//
// What tools see of a mapping from outside: /proc files, ptrace, process_vm_readv,
// core dumps.
#include <memory>

#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "memory.h"

namespace {

constexpr size_t bytes = 3 * leaf + 5 * page;

// A field of the VMA that begins at `at` in /proc/self/smaps, in KiB; and its flags.
long smaps_kib(const char* at, const char* key, std::string* flags = nullptr) {
  FILE* file = fopen("/proc/self/smaps", "re");
  CHECK(file);
  char line[512];
  bool inside = false;
  long value = -1;
  while (fgets(line, sizeof line, file)) {
    unsigned long start, end;
    if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
      inside = start == uintptr_t(at);
    else if (inside && !strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
      value = atol(line + strlen(key) + 1);
    else if (inside && flags && !strncmp(line, "VmFlags:", 8))
      *flags = line + 8;
  }
  fclose(file);
  if (value < 0) FAIL("expected %s of the mapping in smaps", key);
  return value;
}

}  // namespace

TEST(proc_smaps) {
  int fd = make_file("f", 1, bytes);
  for (int prot : {rw, PROT_READ}) {
    char* m = map(fd, bytes, prot, MAP_SHARED);
    CHECK_PAGES(m, 1, 0, bytes);
    std::string flags;
    CHECK_EQ(smaps_kib(m, "Size", &flags), bytes / 1024);
    CHECK_EQ(smaps_kib(m, "Rss"), bytes / 1024);
    CHECK_EQ(smaps_kib(m, "Anonymous"), 0);
    CHECK_EQ(smaps_kib(m, "Swap"), 0);
    CHECK(flags.find(" rd") != flags.npos);
    if (harness::is_morselfs()) {
      CHECK(flags.find(" de") != flags.npos);  // VM_DONTEXPAND
      CHECK(flags.find(" dd") != flags.npos);  // VM_DONTDUMP
      CHECK(flags.find(" pf") == flags.npos);  // not VM_PFNMAP, nor mixed
      CHECK(flags.find(" mm") == flags.npos);
    }
    SYS(munmap(m, bytes));
  }
}

// The counters of an address space come back to what they were.
TEST(proc_counters_return) {
  int fd = make_file("f", 1, bytes);
  auto churn = [&] {
    char* m = map(fd, bytes, rw, MAP_SHARED);
    char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
    char* p = map(fd, bytes, rw, MAP_PRIVATE);
    CHECK_PAGES(m, 1, 0, bytes);
    CHECK_PAGES(r, 1, 0, bytes);
    fill(p, 2, 0, leaf);
    (void)!madvise(m, bytes, 21 /* MADV_PAGEOUT */);
    SYS(madvise(r, leaf, MADV_DONTNEED));
    CHECK_PAGES(r, 1, 0, bytes);
    SYS(mprotect(m + leaf, page, PROT_NONE));
    SYS(munmap(m + 2 * page, page));
    long rss = status_kib("VmRSS"), tables = status_kib("VmPTE");
    CHECK(rss >= 0 && rss < 64 << 10);
    CHECK(tables >= 0 && tables < 1024);
    for (char* one : {m, r, p}) SYS(munmap(one, bytes));
  };
  churn();
  long file = status_kib("RssFile"), shm = status_kib("RssShmem"), anon = status_kib("RssAnon");
  for (int i = 0; i < 8; i++) churn();
  // These counters are kept per thread or per CPU and are not exact: 64 pages each.
  constexpr long slack = 64L * 4 * 4;
  CHECK(labs(status_kib("RssFile") - file) <= slack);
  CHECK(labs(status_kib("RssShmem") - shm) <= slack);
  CHECK(labs(status_kib("RssAnon") - anon) <= slack);
}

TEST(proc_pagemap_and_mincore) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, bytes);
  int pagemap = SYS(open("/proc/self/pagemap", O_RDONLY));
  auto entries = std::make_unique<uint64_t[]>(bytes / page);
  CHECK_EQ(pread(pagemap, entries.get(), bytes / page * 8, off_t(uintptr_t(m) / page * 8)),
           bytes / page * 8);
  for (size_t p = 0; p < bytes / page; p++)
    if (!(entries[p] >> 63))
      FAIL("pagemap of page 0x%zx: expected present, seen 0x%llx", p,
           (unsigned long long)entries[p]);
  auto resident = std::make_unique<unsigned char[]>(bytes / page);
  SYS(mincore(m, bytes, resident.get()));
  for (size_t p = 0; p < bytes / page; p++) CHECK_EQ(resident[p] & 1, 1);
  // Two mappings show the same frames (root sees their numbers).
  char* n = map(fd, bytes, rw, MAP_SHARED);
  CHECK_PAGES(n, 1, 0, bytes);
  uint64_t entry;
  for (size_t at : {size_t(0), leaf - page, leaf, bytes - page}) {
    CHECK_EQ(pread(pagemap, &entry, 8, off_t(uintptr_t(n + at) / page * 8)), 8);
    CHECK_EQ(entry & ((1UL << 55) - 1), entries[at / page] & ((1UL << 55) - 1));
  }
}

TEST(proc_numa_maps_and_maps) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, bytes);
  bool found = false;
  for (const char* path : {"/proc/self/maps", "/proc/self/numa_maps"}) {
    FILE* file = fopen(path, "re");
    if (!file) continue;
    char line[512];
    while (fgets(line, sizeof line, file))
      found |= strtoul(line, nullptr, 16) == uintptr_t(m) && strstr(line, "/f");
    fclose(file);
  }
  CHECK(found);
  CHECK_FILLED(m, 1, 0, bytes);
}

TEST(proc_process_vm_readv) {
  int fd = make_file("f", 1, bytes);
  int gone[2];
  SYS(pipe(gone));
  auto* at = shared<char*>();
  auto* gate = shared<Gate>();
  pid_t child = harness::spawn([&] {
    *at = map(fd, bytes, PROT_READ, MAP_SHARED);
    gate->open();
    pause();
  });
  gate->wait();
  char* buffer = map(-1, bytes, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  iovec local{buffer, bytes}, remote{*at, bytes};
  CHECK_EQ(SYS(process_vm_readv(child, &local, 1, &remote, 1, 0)), bytes);  // never touched
  CHECK_FILLED(buffer, 1, 0, bytes);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", child);
  int mem = SYS(open(path, O_RDONLY));
  memset(buffer, 0, leaf);
  CHECK_EQ(pread(mem, buffer, leaf, off_t(*at + page)), leaf);
  CHECK_FILLED(buffer, 1, page, leaf);
  SYS(kill(child, SIGKILL));
  harness::join_killed(child, SIGKILL);
}

TEST(proc_ptrace) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_PAGES(m, 1, 0, bytes);
  pid_t child = harness::spawn([] {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
  });
  int status;
  SYS(waitpid(child, &status, 0));
  for (size_t at : {size_t(0), leaf - 8, leaf, 2 * leaf + 8 * page, bytes - 8}) {
    errno = 0;
    long seen = ptrace(PTRACE_PEEKDATA, child, m + at, nullptr);
    CHECK_EQ(errno, 0);
    CHECK_EQ(seen, word_at(1, at));
    // The mapping is shared and writable: a poke reaches the object.
    SYS(ptrace(PTRACE_POKEDATA, child, m + at, 77L));
    CHECK_EQ(*reinterpret_cast<volatile long*>(m + at), 77);
  }
  SYS(ptrace(PTRACE_CONT, child, nullptr, nullptr));
  harness::join(child);
}

TEST(proc_mem_write_to_shared_writable) {
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  int mem = SYS(open("/proc/self/mem", O_RDWR));
  char* buffer = map(-1, leaf, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  fill(buffer, 2, leaf - page, leaf);
  CHECK_EQ(pwrite(mem, buffer, leaf, off_t(m + leaf - page)), leaf);
  check_file(fd, 2, leaf - page, leaf);
  CHECK_FILLED(m, 1, 0, leaf - page);
}

// A dying process writes its core onto the mount itself; of a morselfs mapping
// nothing goes into it.
TEST(proc_core_dump) {
  char pattern[256] = {};
  int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
  if (fd < 0 || read(fd, pattern, sizeof pattern - 1) <= 0 || pattern[0] == '|' ||
      pattern[0] == '/')
    SKIP("core dumps go elsewhere: %s", pattern);
  close(fd);
  fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  char* p = map(fd, bytes, rw, MAP_PRIVATE);
  fill(p, 2, 0, 2 * page);
  SYS(mkdir("dump", 0755));
  pid_t child = harness::spawn([&] {
    SYS(chdir("dump"));
    int filter = SYS(open("/proc/self/coredump_filter", O_WRONLY));
    CHECK_EQ(write(filter, "0x7f", 4), 4);
    rlimit all{RLIM_INFINITY, RLIM_INFINITY};
    SYS(setrlimit(RLIMIT_CORE, &all));
    SYS(munmap(p, bytes));  // that one would be dumped
    CHECK_PAGES(m, 1, 0, bytes);
    char* own = map(fd, bytes, PROT_READ, MAP_SHARED);
    CHECK_PAGES(own, 1, 0, bytes);
    abort();
  });
  int status;
  SYS(waitpid(child, &status, 0));
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  if (harness::is_morselfs()) {
    CHECK(WCOREDUMP(status));
    struct stat st;
    std::string name = "dump/core";
    if (stat(name.c_str(), &st) != 0) {
      name += "." + std::to_string(child);
      SYS(stat(name.c_str(), &st));
    }
    CHECK(st.st_size > 0);
    CHECK(size_t(st.st_size) < bytes);
  }
  CHECK_FILLED(m, 1, 0, bytes);
  CHECK_FILLED(p, 2, 0, 2 * page);
}

// Linux 6.11; the headers may be older. Length of the build id of the file mapped at `at`, or
// -errno.
long query_build_id(const void* at) {
  struct {
    uint64_t size, flags, address, start, end, vma_flags, page_size, offset, inode;
    uint32_t major, minor, name_size, build_id_size;
    uint64_t name, build_id;
  } query{};
  unsigned char build_id[64];
  query.size = sizeof query;
  query.address = uintptr_t(at);
  query.build_id_size = sizeof build_id;
  query.build_id = uintptr_t(build_id);
  int maps = SYS(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  int failed = ioctl(maps, _IOWR('f', 17, query), &query) == 0 ? 0 : errno;
  close(maps);
  return failed ? -long(failed) : long(query.build_id_size);
}

// The kernel reads the file for it, not through the mapping.
TEST(proc_query_build_id) {
  int self = SYS(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  size_t size = size_t(lseek(self, 0, SEEK_END));
  char* original = map(self, size, PROT_READ, MAP_PRIVATE);
  long expected = query_build_id(original);
  if (expected == -ENOTTY) SKIP("this kernel has no PROCMAP_QUERY");
  int fd = SYS(open("f", O_RDWR | O_CREAT, 0700));
  CHECK_EQ(pwrite(fd, original, size, 0), size);
  CHECK_EQ(query_build_id(map(fd, size, PROT_READ, MAP_SHARED)), expected);
  CHECK_EQ(query_build_id(map(fd, size, PROT_READ, MAP_PRIVATE)), expected);
  int sparse = make_sparse("g", bytes);
  CHECK(query_build_id(map(sparse, bytes, PROT_READ, MAP_SHARED)) <= 0);
}
