// SPDX-License-Identifier: MIT
#include "shards.h"

#include <cstdio>
#include <regex>

namespace morsel {

std::vector<std::string> shards_of(const std::string& path) {
  static const std::regex pattern(R"(-(\d{5})-of-(\d{5})\.gguf$)");
  std::smatch match;
  if (!std::regex_search(path, match, pattern)) return {path};
  const int number = std::stoi(match[1]), count = std::stoi(match[2]);
  if (number < 1 || number > count) return {path};
  std::vector<std::string> shards;
  for (int each = 1; each <= count; ++each) {
    char digits[8];
    std::snprintf(digits, sizeof digits, "%05d", each);
    shards.push_back(match.prefix().str() + "-" + digits + "-of-" + match[2].str() + ".gguf");
  }
  return shards;
}

}  // namespace morsel
