// SPDX-License-Identifier: MIT
// What a cached file's entry says besides its name.
#pragma once

#include <cstdint>
#include <string>

namespace morsel {

struct Attributes {
  std::string source;      /// path of the file; any bytes
  std::string model;       /// of a file that is a part of a model: path of the first part
  int64_t loaded_at = 0;   /// seconds since 1970
  uint32_t loaded_by = 0;  /// user

  /// JSON.
  [[nodiscard]] std::string text() const;
  /// What can't be read is empty.
  static Attributes parse(const std::string& text);
};

}  // namespace morsel
