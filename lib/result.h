// SPDX-License-Identifier: MIT
// What functions inside the library return: a value, or what went wrong.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace morsel {

/// A negative errno, and a sentence: what, where, why, what to do. No newline.
struct Error {
  int code;
  std::string text;
};

/// An error from `errno` (or `code`, positive): "TEXT: No such file or directory".
[[nodiscard]] Error system_error(std::string text, int code = 0);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value.
struct Done {};
using Status = Result<Done>;

}  // namespace morsel
