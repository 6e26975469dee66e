// SPDX-License-Identifier: MIT
//
// Contents from files on a disk, which are read past the page cache.
#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>

#include <vector>

#include "fixture.h"

using namespace conformance;

CONFORMANCE_SUITE(PopulateFromDisk);

namespace {

constexpr uint64_t large = 40 * mib + 4096 + 8;

// An unnamed file that is on its disk and not in the page cache; -1: there is no such disk here, or
// no io_uring.
int make_disk_source(uint64_t seed, uint64_t bytes) {
  io_uring ring;
  if (io_uring_queue_init(1, &ring, 0) != 0) return -1;
  io_uring_queue_exit(&ring);
  int fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return -1;
  int memory = make_source(seed, bytes);
  std::vector<char> block(mib);
  for (uint64_t at = 0; at < bytes; at += block.size()) {
    ssize_t got = pread(memory, block.data(), block.size(), off_t(at));
    if (pwrite(fd, block.data(), size_t(got), off_t(at)) != got)
      ADD_FAILURE() << "writing a source";
  }
  close(memory);
  fsync(fd);
  return fd;
}

// The share of the file that is in the page cache.
double cached_share(int fd, uint64_t bytes) {
  void* view = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  std::vector<unsigned char> pages((bytes + 4095) / 4096);
  EXPECT_EQ(mincore(view, bytes, pages.data()), 0);
  munmap(view, bytes);
  size_t cached = 0;
  for (unsigned char page : pages) cached += page & 1U;
  return double(cached) / double(pages.size());
}

bool evict(int fd, uint64_t bytes) {
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  return cached_share(fd, bytes) < 0.1;
}

#define DISK_SOURCE(name, seed, bytes)                         \
  int name = make_disk_source(seed, bytes);                    \
  if (name < 0 || !evict(name, bytes)) {                       \
    close(name);                                               \
    GTEST_SKIP() << "no disk behind /var/tmp, or no io_uring"; \
  }

}  // namespace

TEST_P(PopulateFromDisk, past_the_page_cache) {
  DISK_SOURCE(source, 1, large);
  Object object = create(large);
  for (uint64_t offset : {uint64_t(0), uint64_t(4096), uint64_t(12344)}) {
    ASSERT_TRUE(evict(source, large));
    EXPECT_EQ(
        morsel_populate(object.get(), source, offset, large - offset, nullptr, nullptr, nullptr),
        0);
    Map mapping = map(object, MORSEL_READ);
    for (uint64_t i = 0; i < large - offset; i += 8)
      if (*reinterpret_cast<uint64_t*>(at(mapping, i)) != word(1, offset + i))
        FAIL() << "offset " << offset << ", byte " << i;
    // At an odd place direct requests can't be made. What is left when they can is the last piece.
    if (offset % 4096 == 0) {
      EXPECT_LT(cached_share(source, large), 0.3);
    }
  }
  close(source);
}

TEST_P(PopulateFromDisk, what_is_cached_and_what_is_not) {
  DISK_SOURCE(source, 1, large);
  std::vector<char> buffer(9 * mib);
  EXPECT_EQ(pread(source, buffer.data(), buffer.size(), 16 * mib), ssize_t(buffer.size()));
  // Not on the disk yet.
  uint64_t other = word(2, 3 * mib);
  EXPECT_EQ(pwrite(source, &other, 8, 3 * mib), 8);
  Object object = create(large);
  struct Watch {
    uint64_t last = 0;
    static int call(uint64_t done, uint64_t total, void* context) {
      auto* self = static_cast<Watch*>(context);
      EXPECT_GE(done, self->last);
      EXPECT_LE(done, total);
      self->last = done;
      return 0;
    }
  } watch;
  EXPECT_EQ(morsel_populate(object.get(), source, 0, large, Watch::call, &watch, nullptr), 0);
  EXPECT_EQ(watch.last, large);
  Map mapping = map(object, MORSEL_READ);
  for (uint64_t i = 0; i < large; i += 8)
    if (*reinterpret_cast<uint64_t*>(at(mapping, i)) != (i == 3 * mib ? other : word(1, i)))
      FAIL() << "byte " << i;
  close(source);
}

TEST_P(PopulateFromDisk, leaves_no_pins) {
  SKIP_UNLESS_SEALABLE();
  DISK_SOURCE(source, 1, large);
  Object object = create(large);
  EXPECT_EQ(morsel_populate(object.get(), source, 0, large, nullptr, nullptr, nullptr), 0);
  seal(object);
  EXPECT_EQ(morsel_in_use(object.get(), nullptr), 0);
  close(source);
}

TEST_P(PopulateFromDisk, ends_when_it_is_told_to) {
  DISK_SOURCE(source, 1, large);
  Object object = create(large);
  int calls = 0;
  auto stop = [](uint64_t, uint64_t, void* context) {
    return int(++*static_cast<int*>(context) == 1);
  };
  EXPECT_EQ(morsel_populate(object.get(), source, 0, large, stop, &calls, nullptr), -ECANCELED);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(morsel_in_use(object.get(), nullptr), 0);
  close(source);
}

TEST_P(PopulateFromDisk, a_source_that_is_too_short_or_cut) {
  DISK_SOURCE(source, 1, large);
  Object object = create(large + mib);
  morsel_error error;
  EXPECT_EQ(morsel_populate(object.get(), source, 0, large + 1, nullptr, nullptr, &error),
            -ENODATA);
  EXPECT_NE(std::string(error.text).find(std::to_string(large)), std::string::npos) << error.text;
  ASSERT_TRUE(evict(source, large));
  auto cut = [](uint64_t, uint64_t, void* context) {
    usleep(20000);  // the clock of files is coarse
    return ftruncate(*static_cast<int*>(context), 4096);
  };
  usleep(20000);
  int result = morsel_populate(object.get(), source, 0, large, cut, &source, nullptr);
  EXPECT_TRUE(result == -ESTALE || result == -ENODATA) << result;
  close(source);
}

TEST_P(PopulateFromDisk, an_object_that_is_cut_meanwhile) {
  DISK_SOURCE(source, 1, large);
  Object object = create(large);
  auto cut = [](uint64_t, uint64_t, void* context) {
    return morsel_resize(static_cast<morsel_object*>(context), 2 * mib, nullptr);
  };
  Object other = from_fd(morsel_fd(object.get()));
  int result = morsel_populate(object.get(), source, 0, large, cut, other.get(), nullptr);
  EXPECT_TRUE(result == 0 || result == -EFAULT) << result;
  close(source);
}
