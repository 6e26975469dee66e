// SPDX-License-Identifier: MIT
//
// The same calls on a mapping of the object, through the shim, and on one of the file, past it:
// the same results, the same errors, the same bytes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>

#include "world.h"

namespace morsel::preload_test {
namespace {

constexpr size_t bytes = 3 * huge_page + 6 * page + 99;
constexpr size_t pages = bytes / page + 1;

class Twins {
 public:
  Twins(const Source& source, size_t first, int flags)
      : offset_(first * page), length_((pages - first) * page) {
    const int fd = source.open();
    shimmed_ = mmap(nullptr, bytes - offset_, PROT_READ, flags, fd, static_cast<off_t>(offset_));
    EXPECT_TRUE(is_object(shimmed_));
    // Where the kernel puts nothing of itself, and holes stay holes.
    char* far = at(nullptr, size_t{1} << 44);
    plain_ = raw_mmap(far + offset_, bytes - offset_, PROT_READ, flags | MAP_FIXED_NOREPLACE, fd,
                      static_cast<off_t>(offset_));
    EXPECT_EQ(plain_, far + offset_);
    close(fd);
  }
  ~Twins() {
    munmap(shimmed_, length_ + slack);
    raw_munmap(plain_, length_ + slack);
    EXPECT_FALSE(is_mapped(shimmed_));
  }
  Twins(const Twins&) = delete;
  Twins& operator=(const Twins&) = delete;

  [[nodiscard]] size_t count() const { return length_ / page; }
  /// Both calls return what a system call returns in a register.
  template <typename Shimmed, typename Plain>
  void both(const std::string& what, Shimmed shimmed, Plain plain) {
    trace += what + "\n";
    errno = 0;
    const long one = shimmed(static_cast<char*>(shimmed_));
    const int one_error = errno;
    errno = 0;
    const long two = plain(static_cast<char*>(plain_));
    EXPECT_EQ(one_error, errno) << trace;
    EXPECT_EQ(one == -1, two == -1) << trace;
  }

  /// Pages here and there, and all of `from` to `to`.
  void compare(std::mt19937& random, size_t from, size_t to) {
    const bool region = count_objects() > 0;
    const auto one_page = [&](size_t i) {
      char one[page];
      char two[page];
      const bool can_one = peek(at(shimmed_, i * page), one, page);
      const bool can_two = peek(at(plain_, i * page), two, page);
      if (can_two) {
        ASSERT_TRUE(can_one) << "page " << i << "\n" << trace;
        ASSERT_EQ(std::memcmp(one, two, page), 0) << "page " << i << "\n" << trace;
      } else if (!region) {  // what is unmapped of a region stays readable
        ASSERT_FALSE(can_one) << "page " << i << "\n" << trace;
      }
    };
    for (size_t i = from; i < std::min(to, from + 40); ++i) one_page(i);
    for (size_t i = to > 40 ? to - 40 : 0; i < to + 2; ++i) one_page(i);
    for (int i = 0; i < 30; ++i) one_page(random() % count());
  }

  std::string trace;

 private:
  static constexpr size_t slack = 64 * page;
  size_t offset_;
  size_t length_;
  void* shimmed_;
  void* plain_;
};

/// One random call on pages `first` to `last`. Either mremap is among them, or what divides the
/// kernel's record of an ordinary mapping, and of the object not: mremap wants it undivided.
void step(Twins& twins, std::mt19937& random, size_t first, size_t last, bool remaps) {
  const size_t from = first * page;
  const size_t length = (last - first) * page - (random() % 3 ? 0 : 100);
  const auto text = [&](const char* what, long argument = 0) {
    return std::string(what) + " " + std::to_string(first) + ".." + std::to_string(last) + " " +
           std::to_string(argument);
  };
  const auto simple = [&](const char* what, auto call, long number, auto... more) {
    twins.both(
        text(what, (0L + ... + static_cast<long>(more))),
        [&](char* p) { return static_cast<long>(call(p + from, length, more...)); },
        [&](char* p) { return syscall(number, p + from, length, more...); });
  };
  const auto fill = [&](char* p, long result) {
    if (result != -1) std::memset(p + from, static_cast<int>(first), page);
    return result;
  };
  static constexpr int advice[] = {MADV_WILLNEED, MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT,
                                   MADV_NORMAL, MADV_POPULATE_READ,
                                   // These divide it:
                                   MADV_RANDOM, MADV_SEQUENTIAL, MADV_HUGEPAGE, MADV_DONTDUMP};
  // Those that end a region are rarer, so that the others find one.
  switch (random() % 24) {
    case 0:
      return simple("mprotect", mprotect, SYS_mprotect, PROT_NONE);
    case 1:
      return simple("mprotect", mprotect, SYS_mprotect, PROT_READ | PROT_WRITE);
    case 2:
      return simple("madvise", madvise, SYS_madvise, MADV_DONTFORK);
    case 3:
    case 4: {
      const int fixed = random() % 2 ? MAP_FIXED : MAP_FIXED_NOREPLACE;
      const int flags = MAP_PRIVATE | MAP_ANONYMOUS | fixed;
      const int prot = PROT_READ | PROT_WRITE;
      return twins.both(
          text("mmap", fixed),
          [&](char* p) {
            return fill(p, reinterpret_cast<long>(mmap(p + from, length, prot, flags, -1, 0)));
          },
          [&](char* p) {
            return fill(p, syscall(SYS_mmap, p + from, length, prot, flags, -1, 0L));
          });
    }
    case 5: {
      if (!remaps) return;
      const size_t size = random() % 2 ? length / 2 : length + 8 * page;
      return twins.both(
          text("mremap", static_cast<long>(size)),
          [&](char* p) { return reinterpret_cast<long>(mremap(p + from, length, size, 0)); },
          [&](char* p) { return syscall(SYS_mremap, p + from, length, size, 0); });
    }
    case 6: {
      const size_t to = random() % twins.count() * page;
      const int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
      if (!remaps || to + length > twins.count() * page) return;
      return twins.both(
          text("mremap to", static_cast<long>(to / page)),
          [&](char* p) {
            return reinterpret_cast<long>(mremap(p + from, length, length, flags, p + to));
          },
          [&](char* p) { return syscall(SYS_mremap, p + from, length, length, flags, p + to); });
    }
    case 7:
      return simple("pkey_mprotect", pkey_mprotect, SYS_pkey_mprotect, PROT_READ,
                    random() % 2 ? -1 : 0);
    case 8:
      return simple("mprotect", mprotect, SYS_mprotect, PROT_READ);
    case 9:
    case 10:
    case 11:  // undone at once: the kernel refuses much advice for locked memory
      if (remaps) return;
      if (random() % 2)
        simple("mlock", mlock, SYS_mlock);
      else
        simple("mlock2", mlock2, SYS_mlock2, MLOCK_ONFAULT);
      return simple("munlock", munlock, SYS_munlock);
    case 12:
      return simple("msync", msync, SYS_msync, MS_SYNC);
    case 13:
      return simple("msync", msync, SYS_msync, MS_SYNC | MS_ASYNC);
    case 14:
    case 15:
    case 16:
    case 17:
    case 18:
      return simple("madvise", madvise, SYS_madvise,
                    advice[random() % (remaps ? 6 : std::size(advice))]);
    default:
      return simple("munmap", munmap, SYS_munmap);
  }
}

struct Run {
  int flags;
  bool remaps;
};
class Lockstep : public testing::TestWithParam<Run> {};
INSTANTIATE_TEST_SUITE_P(, Lockstep,
                         testing::Values(Run{MAP_SHARED, false}, Run{MAP_SHARED, true},
                                         Run{MAP_PRIVATE, false}, Run{MAP_PRIVATE, true}));

TEST_P(Lockstep, RandomCalls) {
  if (!can_make(Kind::hugetlb)) GTEST_SKIP() << "no 2-MiB pages here";
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  for (unsigned seed = 0; seed < 60 && !HasFailure(); ++seed) {
    std::mt19937 random(seed);
    Twins twins(source, random() % 40, GetParam().flags);
    twins.trace = "seed " + std::to_string(seed) + "\n";
    for (int i = 0; i < 25 && !HasFailure(); ++i) {
      // Mostly small; sometimes a little beyond the end, where nothing is.
      const size_t first = random() % twins.count();
      const size_t length = 1 + (random() % 4 ? random() % 30 : random() % twins.count());
      const size_t last = std::min(first + length, twins.count() + 3);
      step(twins, random, first, last, GetParam().remaps);
      twins.compare(random, first, std::min(last, twins.count()));
    }
  }
}

}  // namespace
}  // namespace morsel::preload_test
