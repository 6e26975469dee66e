// SPDX-License-Identifier: MIT
// What the examples need besides the library.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <system_error>

namespace example {

/// 0, or a line on standard error and 1.
template <typename Body>
int run(Body body) {
  try {
    body();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  return 1;
}

/// A child that runs `body`; waited for at the end.
class Process {
 public:
  template <typename Body>
  explicit Process(Body body) : pid_(::fork()) {
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid_ == 0) ::_exit(run(body));
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() { ::waitpid(pid_, nullptr, 0); }

 private:
  pid_t pid_;
};

}  // namespace example
