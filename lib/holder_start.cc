// SPDX-License-Identifier: MIT
// The holder's start, on demand.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "holder_client.h"

namespace morsel {

namespace {

std::string command() {
  const char* said = secure_getenv("MORSEL_COMMAND");
  return said && *said == '/' ? said : MORSEL_COMMAND_PATH;
}

// Without what a program was told to preload: the holder is none of those programs.
std::vector<char*> environment() {
  std::vector<char*> kept;
  for (char** each = environ; *each; each++)
    if (strncmp(*each, "LD_PRELOAD=", 11) != 0) kept.push_back(*each);
  kept.push_back(nullptr);
  return kept;
}

// What it says until it goes into the background, where it closes its end.
std::string complaint(int pipe) {
  std::string text;
  std::array<char, 512> buffer;
  for (ssize_t got; (got = read(pipe, buffer.data(), buffer.size())) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    text.append(buffer.data(), size_t(got));
  }
  return text.substr(0, text.find('\n'));
}

}  // namespace

Status start_holder(const std::string& directory) {
  const std::string program = command();
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("a pipe");
  Descriptor ours(ends[0]), its(ends[1]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, 0, 1);
  posix_spawn_file_actions_adddup2(&actions, its.get(), 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::vector<std::string> words{program, "holder", "--background", "--directory", directory};
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int failed = posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments.data(),
                                 environment().data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0)
    return system_error(
        "the holder could not be started, " + program + " (MORSEL_COMMAND says which program)",
        failed);
  its = Descriptor();
  const std::string said = complaint(ours.get());
  // It goes into the background by a child, and ends when that listens.
  int status = 0;
  pid_t waited;
  do waited = waitpid(pid, &status, 0);
  while (waited < 0 && errno == EINTR);
  // Where the program has SIGCHLD ignored there is no status: connecting will tell.
  if (waited < 0 || status == 0) return Done{};
  // `morsel` ends with 6 where something is not permitted.
  const int code = WIFEXITED(status) && WEXITSTATUS(status) == 6 ? EPERM : ECHILD;
  return Error{-code, "the holder could not be started: " +
                          (said.empty() ? program + " holder ended without a word" : said)};
}

}  // namespace morsel
