// SPDX-License-Identifier: MIT
// A line that shows how far a long piece of work is.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace morsel::tool {

/// On standard error; only made where that is a terminal (Context::progress()).
class Progress {
 public:
  explicit Progress(std::string title);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Takes the line away.
  ~Progress();

  void show(uint64_t done, uint64_t total);
  /// So that something else can be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  const std::string title_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point shown_;
  bool visible_ = false;
};

}  // namespace morsel::tool
