// SPDX-License-Identifier: MIT
#include "checksum.h"

#include <array>
#include <cstdio>
#include <cstring>

namespace morsel::bench {

uint64_t checksum(const unsigned char* data, size_t bytes) {
  // Fletcher's sum in four lanes: `sums` adds words, `orders` adds the sums, so a word counts as
  // often as there are words after it, and its place matters.
  constexpr size_t lanes = 4;
  std::array<uint64_t, lanes> sums{};
  std::array<uint64_t, lanes> orders{};
  std::array<uint64_t, lanes> words{};
  const auto add = [&] {
    for (size_t lane = 0; lane < lanes; ++lane) {
      sums[lane] += words[lane];
      orders[lane] += sums[lane];
    }
  };
  size_t done = 0;
  for (; done + sizeof words <= bytes; done += sizeof words) {
    std::memcpy(words.data(), data + done, sizeof words);
    add();
  }
  words.fill(0);
  std::memcpy(words.data(), data + done, bytes - done);
  add();

  uint64_t result = bytes;
  for (size_t lane = 0; lane < lanes; ++lane)
    result = result * 0x9e3779b97f4a7c15 + sums[lane] + (orders[lane] << 1);
  return result;
}

std::string checksum_text(const unsigned char* data, size_t bytes) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx",
                static_cast<unsigned long long>(checksum(data, bytes)));
  return text.data();
}

}  // namespace morsel::bench
