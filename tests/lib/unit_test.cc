// SPDX-License-Identifier: MIT
//
// The insides of libmorsel that need no object.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include "lib/error.h"
#include "lib/pieces.h"
#include "lib/region.h"
#include "lib/room.h"

using namespace morsel;

TEST(Error, is_one_terminated_line) {
  morsel_error error;
  EXPECT_EQ(report({-EIO, "two\nlines"}, &error), -EIO);
  EXPECT_EQ(error.code, -EIO);
  EXPECT_STREQ(error.text, "two lines");
  EXPECT_EQ(report({-EIO, std::string(5000, 'x')}, &error), -EIO);
  EXPECT_EQ(strlen(error.text), sizeof error.text - 1);
  EXPECT_EQ(report({-EIO, "x"}, nullptr), -EIO);
}

TEST(Error, of_the_system) {
  errno = ENOENT;
  Error error = system_error("the thing");
  EXPECT_EQ(error.code, -ENOENT);
  EXPECT_EQ(error.text, "the thing: No such file or directory");
  EXPECT_EQ(system_error("x", EBUSY).code, -EBUSY);
}

TEST(Error, exceptions_stay_inside) {
  morsel_error error;
  EXPECT_EQ(at_border(&error, []() -> Status { throw std::bad_alloc(); }), -ENOMEM);
  EXPECT_STREQ(error.text, "out of memory");
  EXPECT_EQ(at_border(&error, []() -> Status { throw std::runtime_error("no"); }), -EIO);
  EXPECT_STREQ(error.text, "no");
  EXPECT_EQ(at_border(&error, []() -> Result<int> { return 7; }), 7);
  EXPECT_EQ(error.code, 0);
  EXPECT_STREQ(error.text, "");
}

TEST(Backends, have_names) {
  for (const char* name : {"any", "morselfs", "hugetlb", "memfd"})
    EXPECT_STREQ(morsel_backend_name(morsel_backend(morsel_backend_parse(name, nullptr))), name);
  EXPECT_EQ(morsel_backend_name(morsel_backend(4)), nullptr);
  EXPECT_EQ(morsel_backend_name(morsel_backend(-1)), nullptr);
  for (const char* name : {"", "Memfd", "memfd "})
    EXPECT_EQ(morsel_backend_parse(name, nullptr), -EINVAL);
  EXPECT_EQ(morsel_backend_parse(nullptr, nullptr), -EINVAL);
  EXPECT_EQ(morsel_backend_probe(morsel_backend(9), 1, nullptr), -EINVAL);
}

TEST(Slots, are_the_smallest_that_do) {
  EXPECT_EQ(whole_slots(1), pmd_slot);
  EXPECT_EQ(whole_slots(pmd_slot), pmd_slot);
  EXPECT_EQ(whole_slots(pmd_slot + 1), pud_slot);
  EXPECT_EQ(whole_slots(pud_slot + 1), 2 * pud_slot);
}

TEST(Pieces, each_is_done_once) {
  constexpr uint64_t from = 5, to = 100003, piece = 10;
  std::vector<std::atomic<int>> done(to);
  uint64_t watched = 0;
  Status status = in_pieces(
      from, to, piece,
      [&](uint64_t at, uint64_t length) -> Status {
        EXPECT_LE(length, piece);
        for (uint64_t i = at; i < at + length; i++) done[i]++;
        return Done{};
      },
      [&](uint64_t so_far) {
        EXPECT_GE(so_far, watched);
        watched = so_far;
        return true;
      });
  EXPECT_TRUE(status);
  for (uint64_t i = 0; i < to; i++) ASSERT_EQ(done[i], i >= from ? 1 : 0) << i;
}

TEST(Pieces, of_nothing) {
  EXPECT_TRUE(in_pieces(7, 7, 10, [](uint64_t, uint64_t) -> Status {
    ADD_FAILURE();
    return Done{};
  }));
}

TEST(Pieces, end_with_the_first_error) {
  std::atomic<int> count = 0;
  Status status = in_pieces(0, 1000000, 1, [&](uint64_t at, uint64_t) -> Status {
    count++;
    if (at == 100) return Error{-EIO, "bad"};
    if (at == 200) throw std::bad_alloc();
    return Done{};
  });
  ASSERT_FALSE(status);
  EXPECT_TRUE(status.error().code == -EIO || status.error().code == -ENOMEM);
  EXPECT_LT(count, 1000000);
}

TEST(Pieces, end_when_the_watch_says_so) {
  Status status = in_pieces(
      0, 1000000, 1, [](uint64_t, uint64_t) -> Status { return Done{}; },
      [](uint64_t done) { return done < 50; });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, -ECANCELED);
}

TEST(Room, there_is_some) {
  EXPECT_GT(available_memory(), uint64_t(16) << 20);
  EXPECT_LT(available_memory(), uint64_t(1) << 50);
}

TEST(Region, is_aligned_and_inaccessible) {
  auto region = Region::reserve(3 << 20, pud_slot);
  ASSERT_TRUE(region);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(region->at()) % pud_slot, 0U);
  EXPECT_FALSE(Region::reserve(uint64_t(1) << 60, pud_slot));
}
