// SPDX-License-Identifier: MIT
#include "error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace morsel {

Error system_error(std::string text, int code) {
  if (code == 0) code = errno;
  text += ": ";
  text += std::generic_category().message(code);
  return {-code, std::move(text)};
}

int report(const Error& error, morsel_error* out) {
  if (!out) return error.code;
  // Without text there is no memory for one.
  const char* text = error.text.empty() ? "out of memory" : error.text.c_str();
  size_t length = strnlen(text, sizeof out->text - 1);
  out->code = error.code;
  std::replace_copy(text, text + length, out->text, '\n', ' ');
  out->text[length] = 0;
  return error.code;
}

std::string amount(uint64_t bytes) {
  constexpr uint64_t mib = 1 << 20;
  return bytes < mib ? std::to_string(bytes) + " bytes" : std::to_string(bytes / mib) + " MiB";
}

}  // namespace morsel
