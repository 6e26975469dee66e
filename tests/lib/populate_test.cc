// SPDX-License-Identifier: MIT
//
// Contents from files.
#include <fcntl.h>

#include <array>
#include <thread>

#include "fixture.h"

using namespace conformance;

CONFORMANCE_SUITE(Populate);

namespace {

constexpr uint64_t large = 40 * mib + 4096 + 8;

struct Calls {
  int count = 0, limit = -1;
  uint64_t last = 0, total = 0;
  pid_t thread = gettid();
  static int call(uint64_t done, uint64_t total, void* context) {
    auto* self = static_cast<Calls*>(context);
    EXPECT_GE(done, self->last);
    EXPECT_LE(done, total);
    EXPECT_EQ(gettid(), self->thread);
    self->last = done;
    self->total = total;
    return ++self->count == self->limit;
  }
};

int populate(const Object& object, int source, uint64_t offset, uint64_t bytes,
             Calls* calls = nullptr, std::string* text = nullptr) {
  morsel_error error;
  int result = morsel_populate(object.get(), source, offset, bytes, calls ? Calls::call : nullptr,
                               calls, &error);
  EXPECT_EQ(error.code, result);
  if (text) *text = error.text;
  return result;
}

}  // namespace

TEST_P(Populate, copies_it_all) {
  for (uint64_t bytes : {uint64_t(8), uint64_t(4096), 8 * mib, large}) {
    int source = make_source(1, bytes);
    Object object = create(bytes);
    Calls calls;
    EXPECT_EQ(populate(object, source, 0, bytes, &calls), 0);
    EXPECT_EQ(calls.last, bytes);
    EXPECT_EQ(calls.total, bytes);
    Map mapping = map(object, MORSEL_READ);
    for (uint64_t i = 0; i < bytes; i += 8)
      if (*reinterpret_cast<uint64_t*>(at(mapping, i)) != word(1, i)) FAIL() << "at byte " << i;
    for (uint64_t i = bytes; i < morsel_mapped_bytes(mapping.get()); i++)
      if (*at(mapping, i) != 0) FAIL() << "at byte " << i << " behind the contents";
    close(source);
  }
}

TEST_P(Populate, copies_a_part) {
  int source = make_source(1, large);
  Object object = create(mib);
  EXPECT_EQ(populate(object, source, 12344, 100), 0);
  Map mapping = map(object, MORSEL_READ);
  EXPECT_EQ(*reinterpret_cast<uint64_t*>(at(mapping)), word(1, 12344));
  EXPECT_EQ(*reinterpret_cast<uint64_t*>(at(mapping, 104)), 0U);
  EXPECT_EQ(populate(object, source, 0, 0), 0);
  close(source);
}

TEST_P(Populate, from_another_object) {
  Object from = create(4 * mib), to = create(4 * mib);
  fill(map(from, MORSEL_READ_WRITE), 9);
  EXPECT_EQ(populate(to, morsel_fd(from.get()), 0, 4 * mib), 0);
  EXPECT_TRUE(has(map(to, MORSEL_READ), 9));
}

TEST_P(Populate, then_sealed) {
  SKIP_UNLESS_SEALABLE();
  int source = make_source(1, large);
  Object object = create(large);
  EXPECT_EQ(populate(object, source, 0, large), 0);
  seal(object);
  EXPECT_EQ(morsel_in_use(object.get(), nullptr), 0);
  EXPECT_EQ(populate(object, source, 0, large), -EPERM);
  close(source);
}

TEST_P(Populate, ends_when_it_is_told_to) {
  int source = make_source(1, large);
  Object object = create(large);
  for (int limit = 1; limit <= 2; limit++) {
    Calls calls;
    calls.limit = limit;
    EXPECT_EQ(populate(object, source, 0, large, &calls), -ECANCELED);
    EXPECT_EQ(calls.count, limit);
  }
  EXPECT_EQ(morsel_in_use(object.get(), nullptr), 0);
  close(source);
}

TEST_P(Populate, bad_sources) {
  int source = make_source(1, large);
  Object object = create(large + 8 * mib);
  std::string text;
  EXPECT_EQ(populate(object, source, 0, large + 1, nullptr, &text), -ENODATA);
  EXPECT_NE(text.find(std::to_string(large)), std::string::npos) << text;
  EXPECT_EQ(populate(object, source, large + 4096, 1), -ENODATA);
  EXPECT_EQ(populate(object, source, 0, morsel_bytes(object.get()) + 1), -EINVAL);
  EXPECT_EQ(populate(object, source, UINT64_MAX, 1), -EINVAL);
  EXPECT_EQ(populate(object, source, uint64_t(INT64_MAX), 1), -EINVAL);
  close(source);
  EXPECT_EQ(populate(object, source, 0, 1), -EBADF);
  int folder = open("/", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(populate(object, folder, 0, 1), -EISDIR);
  close(folder);
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  EXPECT_EQ(populate(object, ends[0], 0, 1), -ESPIPE);
  close(ends[0]);
  close(ends[1]);
}

TEST_P(Populate, a_source_that_is_changed_or_cut_meanwhile) {
  Object object = create(large);
  for (bool cut : {false, true}) {
    int source = make_source(1, large);
    struct Change {
      int fd;
      bool cut;
      static int call(uint64_t, uint64_t, void* context) {
        auto* self = static_cast<Change*>(context);
        usleep(20000);  // the clock of files is coarse
        bool done = self->cut ? ftruncate(self->fd, 4096) == 0 : pwrite(self->fd, "x", 1, 0) == 1;
        EXPECT_TRUE(done);
        return 0;
      }
    } change{source, cut};
    usleep(20000);
    int result = morsel_populate(object.get(), source, 0, large, Change::call, &change, nullptr);
    // Cut when all was read already, it is changed and no more.
    EXPECT_TRUE(result == -ESTALE || (cut && result == -ENODATA)) << result;
    close(source);
  }
}

TEST_P(Populate, an_object_that_is_cut_meanwhile) {
  int source = make_source(1, large);
  Object object = create(large);
  Object other = from_fd(morsel_fd(object.get()));
  struct Cut {
    morsel_object* object;
    static int call(uint64_t, uint64_t, void* context) {
      EXPECT_EQ(morsel_resize(static_cast<Cut*>(context)->object, 2 * mib, nullptr), 0);
      return 0;
    }
  } cut{other.get()};
  // An error or, when all was copied already, none; but no signal.
  int result = morsel_populate(object.get(), source, 0, large, Cut::call, &cut, nullptr);
  EXPECT_TRUE(result == 0 || result == -EFAULT) << result;
  close(source);
}

// The threads that it starts must not take the program's signals.
TEST_P(Populate, does_not_run_signal_handlers_elsewhere) {
  static pid_t here;
  static volatile sig_atomic_t elsewhere;
  here = gettid();
  elsewhere = 0;
  struct sigaction action {
  }, before{};
  action.sa_handler = [](int) {
    if (gettid() != here) elsewhere = 1;
  };
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, &before);
  int source = make_source(1, large);
  Object object = create(large);
  pid_t self = getpid();
  Child child([&] {
    for (;;) {
      ::kill(self, SIGUSR1);
      usleep(50);
    }
    return true;
  });
  for (int i = 0; i < 5; i++) EXPECT_EQ(populate(object, source, 0, large), 0);
  child.kill();
  EXPECT_EQ(elsewhere, 0);
  EXPECT_TRUE(has(map(object, MORSEL_READ), 1, large));
  sigaction(SIGUSR1, &before, nullptr);
  close(source);
}

TEST_P(Populate, several_at_once) {
  int source = make_source(1, large);
  std::array<std::jthread, 2> threads;
  for (std::jthread& thread : threads)
    thread = std::jthread([&] {
      Object object = create(large);
      EXPECT_EQ(populate(object, source, 0, large), 0);
      EXPECT_TRUE(has(map(object, MORSEL_READ), 1, large));
    });
  for (std::jthread& thread : threads) thread.join();
  close(source);
}
