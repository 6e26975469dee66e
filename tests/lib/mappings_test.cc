// SPDX-License-Identifier: MIT
//
// Mappings: where, for how long, shared with whom, at which price.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>

#include <array>
#include <fstream>
#include <thread>

#include "fixture.h"

using namespace conformance;

CONFORMANCE_SUITE(Mappings);

namespace {

constexpr uint64_t odd = 5 * mib + 104;
constexpr uint64_t gib = 1024 * mib;

// For tests, the module's worker may take every mapping out, again and again.
bool leaves_move() {
  char on = 'N';
  std::ifstream("/sys/module/morselfs/parameters/churn") >> on;
  return on == 'Y';
}

long faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

// The number of KiB on a line of the mapping's entry in smaps.
uint64_t in_smaps(const void* address, const std::string& key) {
  char start[32];
  snprintf(start, sizeof start, "%lx-", reinterpret_cast<unsigned long>(address));
  std::ifstream file("/proc/self/smaps");
  std::string line;
  while (std::getline(file, line) && !line.starts_with(start)) {
  }
  while (std::getline(file, line))
    if (line.starts_with(key)) return std::stoul(line.substr(key.size()));
  return 0;
}

int in_use(const Object& object) { return morsel_in_use(object.get(), nullptr); }

}  // namespace

TEST_P(Mappings, are_aligned_and_have_the_size) {
  Object object = create(odd);
  for (morsel_access access : {MORSEL_READ, MORSEL_READ_WRITE}) {
    Map mapping = map(object, access);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(at(mapping)) % gib, 0U);
    EXPECT_EQ(morsel_mapped_bytes(mapping.get()), morsel_bytes(object.get()));
    // Mapping for writing must not make the object grow.
    EXPECT_EQ(morsel_bytes(object.get()), GetParam() == MORSEL_HUGETLB ? 6 * mib : odd);
    morsel_touch(mapping.get());
    EXPECT_TRUE(is_zero(mapping));
    EXPECT_TRUE(gives_sigbus(at(mapping, 8 * mib)));
    EXPECT_TRUE(gives_sigbus(at(mapping, gib - 1)));
  }
}

TEST_P(Mappings, share_contents) {
  Object object = create(odd);
  Map first = map(object, MORSEL_READ_WRITE), second = map(object, MORSEL_READ_WRITE);
  Map reader = map(object, MORSEL_READ);
  fill(first, 1);
  EXPECT_TRUE(has(second, 1));
  fill(second, 2);
  EXPECT_TRUE(has(first, 2));
  EXPECT_TRUE(has(reader, 2));
}

TEST_P(Mappings, share_contents_with_children) {
  Object object = create(odd);
  Map mapping = map(object, MORSEL_READ_WRITE);
  fill(mapping, 1);
  Child child([&] {
    bool inherited = bool(has(mapping, 1));
    fill(map(object, MORSEL_READ_WRITE), 2);
    return inherited && has(mapping, 2);
  });
  EXPECT_TRUE(child.ended_well());
  EXPECT_TRUE(has(mapping, 2));
}

TEST_P(Mappings, outlive_the_handle) {
  Object object = create(odd);
  Map mapping = map(object, MORSEL_READ_WRITE);
  object.reset();
  fill(mapping, 1);
  EXPECT_TRUE(has(mapping, 1));
}

TEST_P(Mappings, for_reading_can_not_be_written) {
  Object object = create(odd);
  Map mapping = map(object, MORSEL_READ);
  pid_t pid = fork();
  if (pid == 0) {
    signal(SIGSEGV, SIG_DFL);
    *static_cast<volatile char*>(at(mapping)) = 1;
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  // Not by mprotect either: the descriptor behind it is for reading.
  EXPECT_LT(mprotect(at(mapping), 2 * mib, PROT_READ | PROT_WRITE), 0);
}

TEST_P(Mappings, leave_no_address_space_behind) {
  Object object = create(odd);
  // 1000 times 2 GiB don't fit into what is allowed.
  rlimit before{}, now{};
  getrlimit(RLIMIT_AS, &before);
  now = before;
  now.rlim_cur = rlim_t(40) << 40;
  if (!sanitized) setrlimit(RLIMIT_AS, &now);
  for (int i = 0; i < 1000; i++) map(object, MORSEL_READ);
  setrlimit(RLIMIT_AS, &before);
}

TEST_P(Mappings, without_address_space_is_an_error) {
  if (sanitized) GTEST_SKIP() << "a sanitizer wants address space itself";
  Object object = create(odd);
  rlimit before{}, now{};
  getrlimit(RLIMIT_AS, &before);
  now = before;
  now.rlim_cur = 512 * mib;
  setrlimit(RLIMIT_AS, &now);
  morsel_mapping* mapping = nullptr;
  morsel_error error;
  EXPECT_EQ(morsel_map(object.get(), MORSEL_READ, &mapping, &error), -ENOMEM);
  setrlimit(RLIMIT_AS, &before);
  EXPECT_EQ(in_use(object), 0);
}

TEST_P(Mappings, behind_a_cut_give_sigbus) {
  Object object = create(8 * mib);
  Map mapping = map(object, MORSEL_READ_WRITE);
  fill(mapping, 1);
  ASSERT_EQ(morsel_resize(object.get(), 4 * mib, nullptr), 0);
  EXPECT_TRUE(gives_sigbus(at(mapping, 4 * mib)));
  EXPECT_TRUE(has(map(object, MORSEL_READ), 1));
  EXPECT_EQ(*reinterpret_cast<uint64_t*>(at(mapping, 4 * mib - 8)), word(1, 4 * mib - 8));
}

TEST_P(Mappings, are_uses) {
  Object object = create(odd);
  EXPECT_EQ(in_use(object), 0);
  Map first = map(object, MORSEL_READ), second = map(object, MORSEL_READ_WRITE);
  EXPECT_EQ(in_use(object), 1);
  first.reset();
  EXPECT_EQ(in_use(object), 1);
  second.reset();
  EXPECT_EQ(in_use(object), 0);
}

TEST_P(Mappings, of_other_processes_are_uses) {
  Object object = create(odd);
  Gate mapped, seen;
  Child child([&] {
    Map mapping = map(object, MORSEL_READ);
    mapped.open();
    seen.wait();
    return true;
  });
  mapped.wait();
  EXPECT_EQ(in_use(object), 1);
  seen.open();
  EXPECT_TRUE(child.ended_well());
  EXPECT_EQ(in_use(object), 0);
}

TEST_P(Mappings, of_the_dead_are_no_uses) {
  Object object = create(odd);
  Gate mapped;
  Child child([&] {
    Map mapping = map(object, MORSEL_READ_WRITE);
    mapped.open();
    pause();
    return false;
  });
  mapped.wait();
  EXPECT_EQ(in_use(object), 1);
  child.kill();
  EXPECT_EQ(in_use(object), 0);
}

// Somebody who holds the exclusive lock for ever can't keep others from mapping.
TEST_P(Mappings, can_not_be_blocked) {
  Object object = create(odd);
  std::string path = "/proc/self/fd/" + std::to_string(morsel_fd(object.get()));
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(flock(fd, LOCK_EX), 0);
  EXPECT_TRUE(is_zero(map(object, MORSEL_READ)));
  close(fd);
}

TEST_P(Mappings, by_many_threads) {
  Object object = create(odd);
  fill(map(object, MORSEL_READ_WRITE), 1);
  std::array<std::jthread, 4> threads;
  for (std::jthread& thread : threads)
    thread = std::jthread([&] {
      Rounds rounds(50);
      for (int round = 0; rounds.next(); round++) {
        Map mapping = map(object, round % 2 ? MORSEL_READ : MORSEL_READ_WRITE);
        EXPECT_TRUE(has(mapping, 1));
        EXPECT_EQ(morsel_in_use(object.get(), nullptr), 1);
      }
    });
}

// Even where shmem is not set to have any.
TEST_P(Mappings, of_memfds_have_huge_pages) {
  if (GetParam() != MORSEL_MEMFD) GTEST_SKIP() << "memfds only";
  Object object = create(8 * mib);
  Map mapping = map(object, MORSEL_READ);
  morsel_touch(mapping.get());
  uint64_t kib = in_smaps(at(mapping), "ShmemPmdMapped:");
  if (kib == 0) GTEST_SKIP() << "this kernel gives shmem no huge pages";
  EXPECT_EQ(kib, 8192U);
}

// The reason for it all: while somebody has the object mapped and touched, a new process is ready
// after one fault per GiB, for reading and for writing.
TEST_P(Mappings, share_page_tables) {
  if (GetParam() == MORSEL_MEMFD) GTEST_SKIP() << "memfds share no page tables";
  if (sanitized) GTEST_SKIP() << "a sanitizer has faults of its own";
  uint64_t bytes = gib + 700 * mib;
  morsel_error error;
  if (GetParam() == MORSEL_HUGETLB && morsel_backend_probe(GetParam(), bytes, &error) != 0)
    GTEST_SKIP() << error.text;
  if (GetParam() == MORSEL_MORSELFS) bytes = 100 * mib;
  Object object = create(bytes);
  for (morsel_access access : {MORSEL_READ, MORSEL_READ_WRITE}) {
    Map holder = map(object, access);
    morsel_touch(holder.get());
    Sockets sockets;
    Gate ready;
    // A process that shares nothing yet: it gets the object by a socket.
    Child child([&] {
      holder.reset();
      Object received = receive(sockets.end[1]);
      for (int round = 0; round < 2; round++) {  // what is needed anyway is there in the second
        long before = faults();
        Map mapping = map(received, access);
        volatile char* memory = at(mapping);
        for (uint64_t i = 0; i < bytes; i += 4096) static_cast<void>(memory[i]);
        long seen = faults() - before;
        if (round == 1 && seen > 2 && !leaves_move()) {
          fprintf(stderr, "%ld faults instead of at most 2, access %d\n", seen, int(access));
          return false;
        }
      }
      return true;
    });
    send(object, sockets.end[0], access);
    EXPECT_TRUE(child.ended_well());
  }
}
