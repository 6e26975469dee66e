// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "core/bit_tree.h"

namespace morsel::test {
namespace {

using namespace morsel::core;

struct Numbers {
  explicit Numbers(u64 size, Range range)
      : storage(BitTree<>::storage_bytes(size) / sizeof(u64), ~0UL) {
    tree.init(storage.data(), size, range);
    for (u64 number = range.first; number < range.last; number++) expected.insert(number);
  }
  void set(u64 number, bool in) {
    if (in) expected.insert(number);
    if (!in) expected.erase(number);
    tree.settle(number, [=] { return in; });
  }
  u64 wanted(u64 number) const {
    const auto at = expected.lower_bound(number);
    return at == expected.end() ? BitTree<>::none : *at;
  }
  std::vector<u64> storage;
  BitTree<> tree;
  std::set<u64> expected;
};

const u64 sizes[] = {0, 1, 31, 32, 33, 1023, 1024, 1025, 32768, 32769, 100000};

TEST(BitTree, BeginsWithARange) {
  for (const u64 size : sizes)
    for (const Range range : {Range{0, 0}, Range{0, size}, Range{size / 2, size},
                              Range{0, size / 3}, Range{size / 3, size / 2}, Range{size, size}}) {
      const Numbers numbers(size, range);
      for (u64 number = 0; number < size + 40; number += number < 3000 ? 1 : 997)
        ASSERT_EQ(numbers.tree.next(number), numbers.wanted(number)) << number << " of " << size;
    }
}

TEST(BitTree, HoldsWhatASetHolds) {
  for (const u64 size : sizes) {
    if (size == 0) continue;
    std::mt19937_64 random(size);
    for (const unsigned full : {2U, 10U, 90U}) {  // in percent
      Numbers numbers(size, {0, full > 50 ? size : 0});
      for (unsigned step = 0; step < 1000; step++) {
        numbers.set(random() % size, random() % 100 < full);
        const u64 from = random() % (size + 1);
        ASSERT_EQ(numbers.tree.next(from), numbers.wanted(from));
      }
      while (!numbers.expected.empty()) numbers.set(*numbers.expected.begin(), false);
      ASSERT_EQ(numbers.tree.next(0), BitTree<>::none);
    }
  }
}

}  // namespace
}  // namespace morsel::test
