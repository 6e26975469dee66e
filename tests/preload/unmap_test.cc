// SPDX-License-Identifier: MIT
//
// munmap of parts: hugetlb can't do that, the program must not notice.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "world.h"

namespace morsel::preload_test {
namespace {

constexpr size_t bytes = 4 * huge_page + 9 * page + 5;
constexpr size_t mapped = 4 * huge_page + 10 * page;

class Unmap : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_make(Kind::hugetlb)) GTEST_SKIP() << "no 2-MiB pages here";
  }
  void TearDown() override { EXPECT_EQ(count_objects(), 0U); }
};

void* map(const Source& source, size_t offset = 0) {
  const int fd = source.open();
  void* p =
      mmap(nullptr, source.bytes() - offset, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset));
  close(fd);
  EXPECT_TRUE(is_object(p));
  return p;
}

TEST_F(Unmap, AsLlamaDoes) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  for (const int flags : {MAP_SHARED, MAP_SHARED | MAP_POPULATE}) {
    const int fd = source.open();
    ASSERT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
    void* p = mmap(nullptr, bytes, PROT_READ, flags, fd, 0);
    ASSERT_EQ(posix_madvise(p, bytes, POSIX_MADV_WILLNEED), 0);
    ASSERT_EQ(posix_madvise(p, bytes, POSIX_MADV_RANDOM), 0);
    close(fd);
    for (size_t grown = page; grown < bytes; grown *= 8) ASSERT_EQ(mlock(p, grown), 0);
    ASSERT_EQ(munmap(p, 77 * page), 0);                // the header
    ASSERT_EQ(munmap(at(p, mapped - page), page), 0);  // behind the last tensor
    EXPECT_TRUE(is_object(at(p, 77 * page)));
    EXPECT_TRUE(holds(at(p, 77 * page), 77 * page, mapped - 78 * page));
    EXPECT_EQ(munlock(at(p, 77 * page), page), 0);
    ASSERT_EQ(munmap(at(p, 77 * page), mapped - 78 * page), 0);
    EXPECT_FALSE(is_mapped(at(p, 77 * page)));
  }
}

TEST_F(Unmap, InAnyOrderAndTwice) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  void* p = map(source, 5 * page);
  const size_t pages = mapped / page - 5;
  for (size_t i = 0; i < pages; i += size_t{2} * 101)
    EXPECT_EQ(munmap(at(p, i * page), 101 * page), 0);
  EXPECT_EQ(munmap(p, page), 0);
  EXPECT_TRUE(holds(at(p, 101 * page), 106 * page, 101 * page));
  for (size_t i = 101; i < pages; i += size_t{2} * 101)
    EXPECT_EQ(munmap(at(p, i * page), 101 * page), 0);
  EXPECT_FALSE(is_mapped(p));
}

TEST_F(Unmap, MorePartsThanAreRemembered) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  void* p = map(source, 3 * page);
  for (size_t i = 1; i < 100; i += 2) ASSERT_EQ(munmap(at(p, i * page), page), 0);
  EXPECT_FALSE(is_object(p));
  for (size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(is_mapped(at(p, i * page)), i % 2 == 0);
    EXPECT_TRUE(i % 2 || holds(at(p, i * page), (3 + i) * page, page));
  }
  EXPECT_FALSE(is_mapped(at(p, -page)));
  EXPECT_FALSE(is_mapped(at(p, mapped - 3 * page)));
  EXPECT_EQ(munmap(p, mapped), 0);
  EXPECT_FALSE(is_mapped(p));
}

TEST_F(Unmap, SeveralAndWhatLiesBetween) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  void* one = map(source);
  void* two = map(source);
  void* three = map(source);
  char* low =
      std::min({static_cast<char*>(one), static_cast<char*>(two), static_cast<char*>(three)});
  char* high =
      std::max({static_cast<char*>(one), static_cast<char*>(two), static_cast<char*>(three)});
  ASSERT_LT(high - low, static_cast<ptrdiff_t>(16 * gib)) << "the window wrapped around";
  // A foreign mapping inside the range, and one that is cut.
  char* behind = high + gib;
  ASSERT_EQ(raw_mmap(behind, 4 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                     -1, 0),
            behind);
  EXPECT_EQ(munmap(low, behind + 2 * page - low), 0);
  EXPECT_EQ(count_objects(), 0U);
  EXPECT_FALSE(is_mapped(behind + page));
  EXPECT_TRUE(is_mapped(behind + 2 * page));
  EXPECT_EQ(munmap(behind, 4 * page), 0);
}

TEST_F(Unmap, WrongArguments) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  void* p = map(source);
  EXPECT_EQ(munmap(at(p, 1), bytes), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(munmap(p, 0), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(munmap(p, SIZE_MAX - page), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_TRUE(holds(p, 0, bytes));
  errno = 0;
  EXPECT_EQ(munmap(p, bytes), 0);
  EXPECT_EQ(errno, 0);
}

// Whole GiBs at the ends go at once, and are free for others.
TEST_F(Unmap, WholeGiBs) {
  const size_t size = gib + 8 * huge_page;
  const Source source(size, Source::Sparse{});
  const Cached cached(source, Kind::hugetlb, {.sparse = true});
  void* p = map(source, page);
  ASSERT_EQ(munmap(p, gib - 2 * page), 0);
  EXPECT_TRUE(is_mapped(p));
  ASSERT_EQ(munmap(at(p, gib - 2 * page), page), 0);
  EXPECT_FALSE(is_mapped(p));
  EXPECT_TRUE(is_object(at(p, gib - page)));
  // What is left can still be replaced by the file.
  ASSERT_EQ(mprotect(at(p, gib), page, PROT_NONE), 0);
  EXPECT_FALSE(is_object(at(p, gib)));
  EXPECT_FALSE(is_mapped(at(p, gib - 2 * page)));
  char byte = 1;
  EXPECT_FALSE(peek(at(p, gib), &byte, 1));
  EXPECT_TRUE(peek(at(p, gib - page), &byte, 1));
  EXPECT_TRUE(peek(at(p, gib + 8 * huge_page - 2 * page), &byte, 1));
  ASSERT_EQ(munmap(p, size - page), 0);
  EXPECT_FALSE(is_mapped(at(p, gib)));

  p = map(source);
  ASSERT_EQ(munmap(at(p, page), size - page), 0);
  EXPECT_TRUE(is_object(p));
  EXPECT_FALSE(is_mapped(at(p, gib)));
  ASSERT_EQ(mremap(p, page, page, MREMAP_MAYMOVE), p);
  EXPECT_FALSE(is_object(p));
  EXPECT_TRUE(peek(p, &byte, 1));
  EXPECT_FALSE(is_mapped(at(p, page)));
  EXPECT_EQ(munmap(p, page), 0);
}

}  // namespace
}  // namespace morsel::preload_test
