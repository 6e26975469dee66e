// SPDX-License-Identifier: MIT
//
// Threads that map, cut and unmap at once, and fork meanwhile.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "world.h"

namespace morsel::preload_test {
namespace {

using namespace std::chrono_literals;
constexpr size_t bytes = 2 * huge_page + 3 * page + 1;
constexpr size_t mapped = 2 * huge_page + 4 * page;

/// Maps a file, does a few things to it, unmaps all of it; false if a byte was wrong.
bool one_round(const Source& source, std::mt19937& random) {
  const int fd = source.open();
  void* p = mmap(nullptr, bytes, PROT_READ, random() % 2 ? MAP_SHARED : MAP_PRIVATE, fd, 0);
  close(fd);
  if (p == MAP_FAILED) return false;
  const size_t cut = random() % (mapped / page) * page;
  bool good = holds(at(p, cut), cut, std::min(page, bytes - cut));
  const size_t middle = mapped / 2 / page * page;
  size_t rest = 0;  // what is still mapped begins here
  switch (random() % 6) {
    case 0:
      rest = middle;
      good = munmap(p, middle) == 0 && holds(at(p, middle), middle, page) && good;
      break;
    case 1:
      good = mprotect(at(p, middle), page, PROT_NONE) == 0 && holds(p, 0, page) && good;
      break;
    case 2:
      good = madvise(p, mapped, MADV_DONTNEED) == 0 && holds(p, 0, page) && good;
      break;
    case 3: {
      void* other = mmap(nullptr, 64 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      good = munmap(other, 64 * page) == 0 && good;
      break;
    }
    default:
      break;
  }
  return munmap(at(p, rest), mapped - rest) == 0 && good;
}

class Threads : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_make(Kind::hugetlb)) GTEST_SKIP() << "no 2-MiB pages here";
  }
};

template <typename Body>
void in_threads(unsigned count, std::chrono::milliseconds time, Body body) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; ++i)
    threads.emplace_back([&, i] {
      std::mt19937 random(i);
      while (!stop) body(random);
    });
  std::this_thread::sleep_for(time);
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST_F(Threads, MapCutAndUnmap) {
  const Source one(bytes);
  const Source two(bytes);
  const Cached cached_one(one, Kind::hugetlb);
  const Cached cached_two(two, Kind::memfd);
  std::atomic<size_t> wrong{0};
  std::atomic<size_t> rounds{0};
  in_threads(6, 3s, [&](std::mt19937& random) {
    wrong += !one_round(random() % 3 ? one : two, random);
    ++rounds;
  });
  EXPECT_EQ(wrong, 0U);
  EXPECT_GT(rounds, 10U);
  EXPECT_EQ(count_objects(), 0U);
  EXPECT_FALSE(cached_one.in_use());
  EXPECT_FALSE(cached_two.in_use());
}

// More mappings at once than the table has room for: the rest are of the file.
TEST_F(Threads, MoreThanThereIsRoomFor) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  const int fd = source.open();
  std::vector<void*> all;
  for (int i = 0; i < 200; ++i) {
    all.push_back(mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0));
    ASSERT_TRUE(holds(all.back(), 0, page));
  }
  EXPECT_TRUE(is_object(all.front()));
  EXPECT_FALSE(is_object(all.back()));
  for (void* p : all) EXPECT_EQ(munmap(p, bytes), 0);
  EXPECT_EQ(count_objects(), 0U);
  void* p = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  EXPECT_TRUE(is_object(p));
  munmap(p, bytes);
  close(fd);
}

// A part is read while the mapping is turned into one of the file, again and again.
TEST_F(Threads, ReadWhileItBecomesOrdinary) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  const int fd = source.open();
  for (int i = 0; i < 100; ++i) {
    void* p = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_TRUE(is_object(p));
    std::atomic<size_t> rounds{0};
    std::atomic<bool> stop{false};
    bool wrong = false;
    std::thread reader([&] {
      while (!stop) {
        wrong = !holds(at(p, 3 * page), 3 * page, 64) || wrong;
        ++rounds;
        rounds.notify_one();
      }
    });
    rounds.wait(0);
    ASSERT_EQ(mprotect(at(p, huge_page), page, PROT_NONE), 0);
    rounds.wait(rounds);
    stop = true;
    reader.join();
    EXPECT_FALSE(wrong);
    EXPECT_FALSE(is_object(p));
    ASSERT_EQ(munmap(p, mapped), 0);
  }
  close(fd);
}

// A signal handler that unmaps, while the thread that it interrupts is in munmap.
TEST_F(Threads, SignalHandlersMapToo) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  static const Source* file = nullptr;  // for the handler
  static std::atomic<size_t> handled;
  file = &source;
  struct sigaction action {};
  action.sa_handler = [](int) {
    std::mt19937 random(static_cast<unsigned>(handled++));
    if (!one_round(*file, random)) abort();
  };
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  const pthread_t self = pthread_self();
  std::atomic<bool> stop{false};
  std::thread sender([&] {
    while (!stop) {
      pthread_kill(self, SIGUSR1);
      std::this_thread::sleep_for(200us);
    }
  });
  std::mt19937 random(1);
  const auto end = std::chrono::steady_clock::now() + 1500ms;
  size_t wrong = 0;
  while (std::chrono::steady_clock::now() < end) wrong += !one_round(source, random);
  stop = true;
  sender.join();
  signal(SIGUSR1, SIG_DFL);
  file = nullptr;
  EXPECT_EQ(wrong, 0U);
  EXPECT_GT(handled, 10U);
  EXPECT_EQ(count_objects(), 0U);
}

TEST_F(Threads, ForkMeanwhile) {
  const Source source(bytes);
  const Cached cached(source, Kind::hugetlb);
  const int fd = source.open();
  void* kept = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  std::atomic<size_t> wrong{0};
  std::atomic<bool> stop{false};
  std::thread forker([&] {
    for (unsigned i = 0; !stop; ++i) {
      const pid_t child = fork();
      if (child == 0) {
        alarm(20);  // a deadlock
        std::mt19937 random(i);
        bool good = holds(kept, 0, page);
        for (int n = 0; n < 5; ++n) good = one_round(source, random) && good;
        good = mprotect(kept, page, PROT_NONE) == 0 && holds(at(kept, page), page, page) && good;
        good = munmap(kept, bytes) == 0 && good;
        _exit(good ? 0 : 1);
      }
      int status = 1;
      waitpid(child, &status, 0);
      wrong += status != 0;
    }
  });
  in_threads(3, 3s, [&](std::mt19937& random) { wrong += !one_round(source, random); });
  stop = true;
  forker.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_TRUE(is_object(kept));
  EXPECT_TRUE(holds(kept, 0, bytes));
  munmap(kept, bytes);
}

}  // namespace
}  // namespace morsel::preload_test
