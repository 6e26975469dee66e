// SPDX-License-Identifier: MIT
#include "source.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "store.h"

namespace morsel {

namespace {

Result<std::string> real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), free);
  if (!real) return system_error(path);
  return std::string(real.get());
}

}  // namespace

int64_t mtime_of(const struct stat& state) {
  return state.st_mtim.tv_sec * 1'000'000'000 + state.st_mtim.tv_nsec;
}

std::string entry_prefix_of(const struct stat& state) {
  std::array<char, 64> text;
  snprintf(text.data(), text.size(), "%s%llx-%llx-", prefix_of_files.c_str(),
           static_cast<unsigned long long>(state.st_dev),
           static_cast<unsigned long long>(state.st_ino));
  return text.data();
}

std::string entry_of(const struct stat& state) {
  return entry_prefix_of(state) + std::to_string(state.st_size) + "-" +
         std::to_string(mtime_of(state));
}

Result<Source> Source::open(const std::string& path) {
  auto real = real_path(path);
  if (!real) return real.error();
  // Without waiting for the other end of a pipe, and the like.
  Descriptor fd(::open(real->c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat state;
  if (!fd || fstat(fd.get(), &state) != 0) return system_error(path);
  if (!S_ISREG(state.st_mode)) return Error{-EINVAL, path + " is no regular file"};
  if (state.st_size == 0) return Error{-EINVAL, path + " is empty: there is nothing to load"};
  return Source(std::move(*real), std::move(fd), state);
}

Status Source::unchanged() const {
  struct stat now;
  if (fstat(fd_.get(), &now) != 0) return system_error(path_);
  if (now.st_size != state_.st_size || mtime_of(now) != mtime_of(state_))
    return Error{-ESTALE, path_ + " was changed while it was read; try again when it is whole"};
  return Done{};
}

void Source::settle() const {
  using namespace std::chrono;
  // Whole seconds are what old file systems know; else it is a tick of the kernel, 10 ms at most.
  const auto tick = state_.st_mtim.tv_nsec == 0 ? nanoseconds(1s) : nanoseconds(20ms);
  const auto now = system_clock::now().time_since_epoch();
  const auto age = now - nanoseconds(mtime_of(state_));
  if (age >= nanoseconds(0) && age < tick) std::this_thread::sleep_for(tick - age);
}

}  // namespace morsel
