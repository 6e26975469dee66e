// SPDX-License-Identifier: MIT
#include "spawn.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace morsel::bench {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// The program is searched in PATH unless it has a slash. Its stdout becomes `out` unless that is
/// -1.
pid_t start(const std::vector<std::string>& arguments, int out) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    if (out >= 0) ::dup2(out, STDOUT_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  return pid;
}

std::string words(const std::vector<std::string>& arguments) {
  std::string text;
  for (const auto& argument : arguments) text += argument + ' ';
  return text;
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) fail("waitpid");
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

int run_program(const std::vector<std::string>& arguments) {
  return wait_for(start(arguments, -1));
}

std::string output_of(const std::vector<std::string>& arguments) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe");
  const pid_t pid = start(arguments, ends[1]);
  ::close(ends[1]);

  std::string output;
  std::array<char, 4096> buffer{};
  for (ssize_t n = 0; (n = ::read(ends[0], buffer.data(), buffer.size())) != 0;) {
    if (n > 0)
      output.append(buffer.data(), static_cast<size_t>(n));
    else if (errno != EINTR)
      break;
  }
  ::close(ends[0]);
  if (const int status = wait_for(pid); status != 0)
    throw std::runtime_error(words(arguments) + "ended with status " + std::to_string(status));
  return output;
}

}  // namespace morsel::bench
