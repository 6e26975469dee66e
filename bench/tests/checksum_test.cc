// SPDX-License-Identifier: MIT
#include "checksum.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace morsel::bench {
namespace {

std::vector<unsigned char> some_bytes(size_t count) {
  std::vector<unsigned char> bytes(count);
  std::iota(bytes.begin(), bytes.end(), 7);
  return bytes;
}

TEST(ChecksumTest, NoticesOneBit) {
  auto bytes = some_bytes(10007);
  const uint64_t sum = checksum(bytes.data(), bytes.size());
  for (const size_t place : {size_t{0}, size_t{33}, size_t{4096}, size_t{10006}}) {
    bytes[place] ^= 1;
    EXPECT_NE(checksum(bytes.data(), bytes.size()), sum) << place;
    bytes[place] ^= 1;
  }
  EXPECT_EQ(checksum(bytes.data(), bytes.size()), sum);
}

TEST(ChecksumTest, NoticesTwoPagesThatChangedPlaces) {
  std::vector<unsigned char> bytes(size_t{3} * 4096, 1);
  bytes[5] = 9;
  const uint64_t sum = checksum(bytes.data(), bytes.size());
  std::swap_ranges(bytes.begin(), bytes.begin() + 4096, bytes.begin() + 8192);
  EXPECT_NE(checksum(bytes.data(), bytes.size()), sum);
}

TEST(ChecksumTest, NoticesTheLength) {
  const std::vector<unsigned char> zeros(128, 0);
  EXPECT_NE(checksum(zeros.data(), 127), checksum(zeros.data(), 128));
}

}  // namespace
}  // namespace morsel::bench
