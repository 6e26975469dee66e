// SPDX-License-Identifier: MIT
#include "size.h"

#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdlib>

namespace morsel {

Result<uint64_t> parse_size(const std::string& text) {
  const Error none{-EINVAL, "'" + text + "' is no size; say for example 512M, 1.5G or 4096"};
  // strtod knows hexadecimal numbers, infinity and blanks, too.
  if (text.empty() || !std::isdigit(static_cast<unsigned char>(text[0])) ||
      text.find_first_of("xX") != std::string::npos)
    return none;
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  std::string unit = end;
  for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (unit.size() == 3 && unit.ends_with("ib")) unit.resize(1);
  if (unit.size() == 2 && unit.back() == 'b') unit.resize(1);
  static const std::string units = "bkmgtp";
  const size_t power = unit.empty() ? 0 : units.find(unit);
  if (unit.size() > 1 || power == std::string::npos) return none;
  const double bytes = std::ldexp(number, static_cast<int>(10 * power));
  if (bytes >= 0x1p63) return none;
  return static_cast<uint64_t>(bytes);
}

}  // namespace morsel
