// SPDX-License-Identifier: MIT
#include "uuid.h"

#include <array>
#include <cstdio>
#include <random>

namespace morsel::pool {
namespace {

bool has_dash_before(unsigned byte) { return byte == 4 || byte == 6 || byte == 8 || byte == 10; }

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void make_uuid(Uuid& uuid) {
  std::random_device random;
  for (auto& byte : uuid) byte = static_cast<unsigned char>(random());
  uuid[6] = (uuid[6] & 0x0f) | 0x40;
  uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

bool parse_uuid(const std::string& text, Uuid& uuid) {
  if (text.size() != 36) return false;
  size_t at = 0;
  for (unsigned byte = 0; byte < sizeof(Uuid); ++byte) {
    if (has_dash_before(byte) && text[at++] != '-') return false;
    const int high = digit(text[at]), low = digit(text[at + 1]);
    if (high < 0 || low < 0) return false;
    uuid[byte] = static_cast<unsigned char>(high << 4 | low);
    at += 2;
  }
  return true;
}

std::string uuid_text(const Uuid& uuid) {
  std::string text;
  for (unsigned byte = 0; byte < sizeof(Uuid); ++byte) {
    std::array<char, 4> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x", uuid[byte]);
    if (has_dash_before(byte)) text += '-';
    text += digits.data();
  }
  return text;
}

}  // namespace morsel::pool
