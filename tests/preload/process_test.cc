// SPDX-License-Identifier: MIT
//
// Processes: what children have, limits, descriptors that are closed, faults of a fresh process.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "world.h"

namespace morsel::preload_test {
namespace {

constexpr size_t bytes = 2 * huge_page + 3 * page + 1;

class Process : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_make(Kind::hugetlb)) GTEST_SKIP() << "no 2-MiB pages here";
  }
};

/// The exit status of a forked child that runs `body`.
template <typename Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void* map(const Source& source) {
  const int fd = source.open();
  void* p = mmap(nullptr, source.bytes(), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  return p;
}

TEST_F(Process, ChildrenInheritMappings) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  void* p = map(source);
  const int status = in_child([&] {
    if (!is_object(p) || !holds(p, 0, bytes)) return 1;
    if (munmap(p, page) != 0 || !holds(at(p, page), page, page)) return 2;
    if (mprotect(at(p, page), page, PROT_NONE) != 0 || is_object(p)) return 3;
    return munmap(p, bytes) == 0 && !is_mapped(p) ? 0 : 4;
  });
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(is_object(p));
  EXPECT_TRUE(holds(p, 0, bytes));
  munmap(p, bytes);
}

TEST_F(Process, InUseUntilTheLastChildHasUnmapped) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  void* p = map(source);
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  munmap(p, bytes);
  EXPECT_TRUE(cached.in_use());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(cached.in_use());
}

TEST_F(Process, AllDescriptorsClosed) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  const int status = in_child([&] {
    void* p = map(source);
    close_range(3, ~0U, 0);
    for (int i = 0; i < 64; ++i) (void)dup(1);
    if (!is_object(p) || !holds(p, 0, bytes)) return 1;
    if (mprotect(p, page, PROT_NONE) != 0 || !holds(at(p, page), page, page)) return 2;
    if (munmap(p, bytes) != 0) return 3;
    for (int i = 3; i < 67; ++i)
      if (fcntl(i, F_GETFD) < 0) return 4;  // one of the program's was closed
    return 0;
  });
  EXPECT_EQ(status, 0);
}

TEST_F(Process, NoDescriptorStaysOpen) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  const int next = dup(1);
  close(next);
  void* p = map(source);
  const int now = dup(1);
  EXPECT_EQ(now, next);
  close(now);
  munmap(p, bytes);
}

TEST_F(Process, NoDescriptorLeft) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  const int status = in_child([&] {
    const int fd = source.open();
    const rlimit few{static_cast<rlim_t>(fd) + 1, static_cast<rlim_t>(fd) + 1};
    setrlimit(RLIMIT_NOFILE, &few);
    void* p = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
    return p != MAP_FAILED && holds(p, 0, bytes) ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

// Too little address space for whole GiBs, but enough for the file.
TEST_F(Process, LimitedAddressSpace) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  const int status = in_child([&] {
    const rlimit little{gib / 2, gib / 2};
    setrlimit(RLIMIT_AS, &little);
    void* p = map(source);
    return p != MAP_FAILED && !is_object(p) && holds(p, 0, bytes) ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

TEST_F(Process, AllMemoryLocked) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  const int status = in_child([&] {
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) return 0;  // not allowed here
    void* p = map(source);
    if (p == MAP_FAILED || !holds(p, 0, bytes)) return 1;
    if (mprotect(p, page, PROT_NONE) != 0 || !holds(at(p, page), page, page)) return 2;
    return munmap(p, bytes) == 0 ? 0 : 3;
  });
  EXPECT_EQ(status, 0);
}

/// As the holder maps it: whole GiBs at a multiple of 1 GiB, every page touched.
class Held {
 public:
  explicit Held(const Cached& cached, size_t bytes) : size_((bytes + gib - 1) / gib * gib) {
    const int fd = cached.open();
    p_ = raw_mmap(at(nullptr, size_t{1} << 44), size_, PROT_READ,
                  MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd, 0);
    close(fd);
    for (size_t i = 0; i < bytes; i += huge_page) *static_cast<volatile char*>(at(p_, i));
  }
  ~Held() { raw_munmap(p_, size_); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  size_t size_;
  void* p_;
};

long faults_of_a_reader(const Source& source) {
  const std::string command = std::string(MORSEL_READER) + " " + source.path();
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  long faults = -1;
  return std::fscanf(pipe.get(), "faults %ld", &faults) == 1 ? faults : -1;
}

TEST_F(Process, OneFaultPerGiB) {
  const size_t size = gib + 64 * huge_page;
  const Source source(size, Source::Sparse{});
  const Cached cached(source, Kind::hugetlb, {.sparse = true});
  const Held held(cached, size);
  const long faults = faults_of_a_reader(source);
  EXPECT_GE(faults, 2);
  EXPECT_LE(faults, 2 + 8);
}

// After posix_spawn, whose child shares our memory until it is another program.
TEST_F(Process, SpawnedPrograms) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  void* p = map(source);
  for (int i = 0; i < 20; ++i) {
    std::string path = source.path();
    std::string reader = MORSEL_READER;
    char* argv[] = {reader.data(), path.data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    pid_t child = 0;
    ASSERT_EQ(posix_spawn(&child, reader.c_str(), &actions, nullptr, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    int status = 1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_TRUE(holds(p, 0, bytes));
  munmap(p, bytes);
}

}  // namespace
}  // namespace morsel::preload_test
