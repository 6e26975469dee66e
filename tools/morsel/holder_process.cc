// SPDX-License-Identifier: MIT
#include "holder_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "holder_objects.h"
#include "holder_place.h"
#include "holder_server.h"

namespace morsel::holder {

namespace {

/// As many as we may have.
size_t raise_limit_of_files() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

Result<Descriptor> catch_signals() {
  sigset_t ending;
  sigemptyset(&ending);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&ending, signal);
  sigprocmask(SIG_BLOCK, &ending, nullptr);
  signal(SIGPIPE, SIG_IGN);
  Descriptor signals(signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return system_error("signalfd");
  return signals;
}

// The program that started us must not wait for us, nor lose what we would keep open.
void detach() {
  setsid();
  if (chdir("/") != 0) _exit(EXIT_FAILURE);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
}

/// What a child says by a pipe: all is well, or an error.
Status read_word(int pipe) {
  Error word{0, {}};
  std::array<char, 1024> text;
  ssize_t got = read(pipe, &word.code, sizeof word.code);
  if (got != sizeof word.code) return Error{-ECHILD, "the holder ended without a word"};
  if (word.code == 0) return Done{};
  while ((got = read(pipe, text.data(), text.size())) > 0)
    word.text.append(text.data(), size_t(got));
  return word;
}

void write_word(int pipe, const Error& word) {
  // If nobody reads it, it helps nobody.
  if (write(pipe, &word.code, sizeof word.code) < 0 ||
      write(pipe, word.text.data(), word.text.size()) < 0)
    return;
}

}  // namespace

Status run(const std::string& directory, std::chrono::milliseconds idle_limit,
           const std::function<void()>& ready) {
  auto place = Place::take(directory);
  if (!place) return place.error();
  if (Status status = place->sweep(); !status) return status;
  auto signals = catch_signals();
  if (!signals) return signals.error();
  auto links = place->links();
  if (!links) return links.error();
  if (Status status = place->show_that_it_runs(); !status) return status;
  auto listener = place->listen();
  if (!listener) return listener.error();
  // Half of the descriptors are for clients and what else there is.
  Objects objects(std::move(*links), raise_limit_of_files() / 2);
  Server server(*place, std::move(*listener), std::move(*signals), objects, idle_limit);
  ready();
  server.run();
  place->leave();
  // Before the last client hears that we are through.
  objects.withdraw();
  return Done{};
}

Status run_in_background(const std::string& directory, std::chrono::milliseconds idle_limit) {
  close_range(STDERR_FILENO + 1, ~0U, 0);
  umask(0);
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("a pipe");
  Descriptor ours(ends[0]), its(ends[1]);
  const pid_t child = fork();
  if (child < 0) return system_error("fork");
  if (child > 0) {
    its = Descriptor();
    return read_word(ours.get());
  }
  ours = Descriptor();
  Status status = run(directory, idle_limit, [&] {
    detach();
    write_word(its.get(), {0, {}});
    its = Descriptor();
  });
  // It is no mistake to come second.
  if (!status && its)
    write_word(its.get(), status.error().code == -EBUSY ? Error{0, {}} : status.error());
  _exit(EXIT_SUCCESS);
}

}  // namespace morsel::holder
