// SPDX-License-Identifier: MIT
//
// Which mappings are replaced, and by what.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "world.h"

namespace morsel::preload_test {
namespace {

constexpr size_t bytes = 3 * huge_page + 5 * page + 123;

class Replace : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (!can_make(GetParam())) GTEST_SKIP() << "no 2-MiB pages here";
  }
  void TearDown() override { EXPECT_EQ(count_objects(), 0U); }
};
INSTANTIATE_TEST_SUITE_P(, Replace, testing::Values(Kind::hugetlb, Kind::memfd),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(Replace, TheWholeFile) {
  const Source source(bytes);
  const Cached cached(source, GetParam());
  for (const int flags :
       {MAP_SHARED, MAP_PRIVATE, MAP_SHARED | MAP_POPULATE, MAP_SHARED_VALIDATE | MAP_NORESERVE}) {
    const int fd = source.open();
    errno = 0;
    void* p = mmap(nullptr, bytes, PROT_READ, flags, fd, 0);
    EXPECT_EQ(errno, 0);
    close(fd);
    ASSERT_NE(p, MAP_FAILED);
    EXPECT_TRUE(is_object(p)) << mapped_at(p);
    EXPECT_TRUE(GetParam() == Kind::memfd || reinterpret_cast<uintptr_t>(p) % gib == 0);
    EXPECT_TRUE(holds(p, 0, bytes));
    for (size_t i = bytes; i % page; ++i) EXPECT_EQ(*at(p, i), 0);
    EXPECT_EQ(munmap(p, bytes), 0);
    EXPECT_FALSE(is_mapped(p));
  }
}

TEST_P(Replace, PartsOfTheFile) {
  const Source source(bytes);
  const Cached cached(source, GetParam());
  const int fd = source.open();
  for (const size_t offset :
       {page, huge_page, huge_page + 7 * page, bytes - bytes % page - huge_page}) {
    const size_t length = std::min(bytes - offset, huge_page + 3 * page + 17);
    void* p = mmap64(nullptr, length, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset));
    ASSERT_NE(p, MAP_FAILED);
    EXPECT_TRUE(is_object(p));
    EXPECT_TRUE(holds(p, offset, length));
    EXPECT_EQ(munmap(p, length), 0);
    EXPECT_FALSE(is_mapped(p));
  }
  close(fd);
}

TEST_P(Replace, CountsAsUseWhileItIsMapped) {
  const Source source(bytes);
  const Cached cached(source, GetParam());
  EXPECT_FALSE(cached.in_use());
  const int fd = source.open();
  void* one = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  void* two = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  EXPECT_TRUE(cached.in_use());
  munmap(one, bytes);
  EXPECT_TRUE(cached.in_use());
  munmap(two, bytes);
  EXPECT_FALSE(cached.in_use());
}

TEST_P(Replace, TheExclusiveLockOfAnotherIsNotWaitedFor) {
  const Source source(bytes);
  const Cached cached(source, GetParam());
  const int other = cached.open();
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  const int fd = source.open();
  void* p = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  EXPECT_TRUE(holds(p, 0, bytes));
  munmap(p, bytes);
  close(fd);
  close(other);
}

TEST_P(Replace, SurvivesTheNameAndTheFile) {
  void* p = nullptr;
  {
    const Source source(bytes);
    const Cached cached(source, GetParam());
    const int fd = source.open();
    p = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
  }
  EXPECT_TRUE(is_object(p));
  EXPECT_TRUE(holds(p, 0, bytes));
  EXPECT_EQ(munmap(p, bytes), 0);
}

TEST_P(Replace, WhatItIsNotFor) {
  const Source source(bytes);
  const Cached cached(source, GetParam());
  const int fd = source.open();
  const int writable = source.open(O_RDWR);
  void* room = raw_mmap(nullptr, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct Try {
    const char* what;
    void* address;
    size_t length;
    int prot, flags, fd;
    size_t offset;
  };
  const Try tries[] = {
      {"writable", nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0},
      {"executable", nullptr, bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0},
      {"no access", nullptr, bytes, PROT_NONE, MAP_SHARED, fd, 0},
      {"small", nullptr, huge_page - page, PROT_READ, MAP_SHARED, fd, 0},
      {"beyond the end", nullptr, bytes, PROT_READ, MAP_SHARED, fd, huge_page},
      {"far beyond the end", nullptr, bytes, PROT_READ, MAP_SHARED, fd, gib},
      {"longer", nullptr, bytes + page, PROT_READ, MAP_SHARED, fd, 0},
      {"a writable descriptor", nullptr, bytes, PROT_READ, MAP_SHARED, writable, 0},
      {"MAP_32BIT", nullptr, bytes, PROT_READ, MAP_SHARED | MAP_32BIT, fd, 0},
      {"MAP_FIXED", room, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0},
      {"a hint", at(room, gib), bytes, PROT_READ, MAP_SHARED, fd, 0},
      {"MAP_ANONYMOUS", nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, fd, 0},
  };
  for (const Try& t : tries) {
    void* p = mmap(t.address, t.length, t.prot, t.flags, t.fd, static_cast<off_t>(t.offset));
    ASSERT_NE(p, MAP_FAILED) << t.what;
    EXPECT_FALSE(is_object(p)) << t.what;
    munmap(p, t.length);
  }
  raw_munmap(room, 2 * bytes);
  close(fd);
  close(writable);
}

TEST_P(Replace, ErrorsAreThoseOfTheKernel) {
  const Source source(bytes);
  const Cached cached(source, GetParam());
  const int fd = source.open();
  const int path = source.open(O_PATH);
  const int write_only = source.open(O_WRONLY);
  const auto error = [](size_t length, int flags, int fd, off_t offset) {
    errno = 0;
    return mmap(nullptr, length, PROT_READ, flags, fd, offset) == MAP_FAILED ? errno : 0;
  };
  EXPECT_EQ(error(bytes, MAP_SHARED, fd, 17), EINVAL);
  EXPECT_EQ(error(0, MAP_SHARED, fd, 0), EINVAL);
  EXPECT_EQ(error(bytes, 0, fd, 0), EINVAL);
  EXPECT_EQ(error(bytes, MAP_SHARED, 1000, 0), EBADF);
  EXPECT_EQ(error(bytes, MAP_SHARED, path, 0), EBADF);
  EXPECT_EQ(error(bytes, MAP_SHARED, write_only, 0), EACCES);
  EXPECT_EQ(error(SIZE_MAX, MAP_SHARED, fd, 0), ENOMEM);
  EXPECT_EQ(error(bytes, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0), EOPNOTSUPP);
  close(fd);
  close(path);
  close(write_only);
}

/// True if a mapping of the file is replaced, with the object in the store that has these flaws.
bool is_used(const Source& source, Kind kind, const Flaws& flaws) {
  const Cached cached(source, kind, flaws);
  const int fd = source.open();
  void* p = mmap(nullptr, source.bytes(), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  const bool used = is_object(p);
  EXPECT_TRUE(holds(p, 0, source.bytes()));
  munmap(p, source.bytes());
  EXPECT_FALSE(cached.in_use());
  return used;
}

TEST_P(Replace, ObjectsThatAreNotTrusted) {
  const Source source(bytes);
  const Kind kind = GetParam();
  EXPECT_TRUE(is_used(source, kind, {}));
  EXPECT_FALSE(is_used(source, kind, {.seals = 0}));
  EXPECT_FALSE(is_used(source, kind, {.seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL}));
  EXPECT_FALSE(is_used(source, kind, {.seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL}));
  EXPECT_FALSE(is_used(source, kind, {.seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW}));
  EXPECT_FALSE(is_used(source, kind, {.size = static_cast<off_t>(huge_page)}));
  EXPECT_FALSE(is_used(source, kind, {.size = -static_cast<off_t>(huge_page)}));
  EXPECT_FALSE(is_used(source, kind, {.mtime = 1}));
  EXPECT_FALSE(is_used(source, kind, {.mtime = -1'000'000'000}));
  if (geteuid() != 0) return;
  EXPECT_FALSE(is_used(source, kind, {.owner = 12345}));
  ASSERT_EQ(chown(source.path().c_str(), 12345, 12345), 0);
  EXPECT_TRUE(is_used(source, kind, {.owner = 12345}));
  EXPECT_FALSE(is_used(source, kind, {.owner = 12346}));
}

TEST_P(Replace, AFileThatHasChanged) {
  const Source source(bytes);
  const Cached cached(source, GetParam());
  const int writer = source.open(O_WRONLY);
  const timespec later[2] = {{0, UTIME_OMIT}, {1'000'000'000, 1}};
  ASSERT_EQ(futimens(writer, later), 0);
  close(writer);
  const int fd = source.open();
  void* p = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  EXPECT_FALSE(is_object(p));
  munmap(p, bytes);
  close(fd);
}

TEST(Store, EntriesOfOtherKinds) {
  const Source source(bytes);
  const std::string entry = store() + "/objects/" + source.name();
  const auto is_harmless = [&] {
    const int fd = source.open();
    void* p = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    EXPECT_TRUE(holds(p, 0, bytes));
    EXPECT_NE(mapped_at(p).find(source.path()), std::string::npos);
    munmap(p, bytes);
    std::filesystem::remove(entry);
  };
  ASSERT_EQ(symlink("/proc/2147483647/fd/3", entry.c_str()), 0);  // a process that has ended
  is_harmless();
  ASSERT_EQ(symlink("/proc/1/fd/0", entry.c_str()), 0);  // a number that another one has now
  is_harmless();
  ASSERT_EQ(symlink("/dev/ptmx", entry.c_str()), 0);
  is_harmless();
  ASSERT_EQ(symlink(entry.c_str(), entry.c_str()), 0);
  is_harmless();
  ASSERT_EQ(mkfifo(entry.c_str(), 0600), 0);
  is_harmless();
  ASSERT_EQ(mkdir(entry.c_str(), 0700), 0);
  is_harmless();
  std::filesystem::copy_file(source.path(), entry);  // not sealed: it has no seals
  is_harmless();
  std::filesystem::create_hard_link(source.path(), entry);
  is_harmless();
}

}  // namespace
}  // namespace morsel::preload_test
