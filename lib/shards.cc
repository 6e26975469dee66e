// SPDX-License-Identifier: MIT
#include "shards.h"

#include <algorithm>

namespace morsel {

namespace {

// "-00001-of-00003.gguf": where the numbers are, from the end of the path.
constexpr size_t tail = 20, number_at = 1, count_at = 10, digits = 5;

bool are_digits(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string padded(int number) {
  const std::string text = std::to_string(number);
  return std::string(digits - text.size(), '0') + text;
}

}  // namespace

std::vector<std::string> shards_of(const std::string& path) {
  if (path.size() < tail) return {path};
  const std::string stem = path.substr(0, path.size() - tail), end = path.substr(stem.size());
  const std::string number = end.substr(number_at, digits), count = end.substr(count_at, digits);
  if (end != "-" + number + "-of-" + count + ".gguf" || !are_digits(number + count)) return {path};
  const int all = std::stoi(count);
  if (std::stoi(number) < 1 || std::stoi(number) > all) return {path};
  const std::string after = "-of-" + count + ".gguf";
  std::vector<std::string> shards;
  for (int each = 1; each <= all; ++each) {
    std::string shard = stem + "-";
    shards.push_back(shard.append(padded(each)).append(after));
  }
  return shards;
}

}  // namespace morsel
