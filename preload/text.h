// SPDX-License-Identifier: MIT
//
// Text in a buffer of fixed size: names of objects, messages. What does not fit is left out, and
// `fits` is false.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

namespace morsel::preload {

template <size_t capacity>
class Text {
 public:
  Text& operator<<(std::string_view text) {
    const size_t length = std::min(text.size(), capacity - 1 - size_);
    fits_ = fits_ && length == text.size();
    std::memcpy(data_ + size_, text.data(), length);
    size_ += length;
    data_[size_] = 0;
    return *this;
  }
  Text& decimal(long long value) {
    if (value < 0) *this << "-";
    return number(value < 0 ? 0 - static_cast<unsigned long long>(value) : value, 10);
  }
  Text& hex(unsigned long long value) { return number(value, 16); }

  [[nodiscard]] bool fits() const { return fits_; }
  [[nodiscard]] const char* c_str() const { return data_; }
  [[nodiscard]] std::string_view view() const { return {data_, size_}; }

 private:
  Text& number(unsigned long long value, unsigned base) {
    char digits[20];
    size_t first = sizeof digits;
    do {
      digits[--first] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value);
    return *this << std::string_view(digits + first, sizeof digits - first);
  }

  char data_[capacity] = {};
  size_t size_ = 0;
  bool fits_ = true;
};

}  // namespace morsel::preload
