// SPDX-License-Identifier: MIT
//
// What the conformance tests share. Each test is run with each backend; when it is over, as much
// memory must be in use as before, and as many descriptors open.
#pragma once

#include <gtest/gtest.h>
#include <morsel/morsel.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

namespace conformance {

constexpr uint64_t mib = 1 << 20;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

/// What the command line says.
struct Settings {
  std::string directory;  // on morselfs; else empty
  std::string backend;    // only this one; or empty
};
extern Settings settings;

struct Close {
  void operator()(morsel_object* object) const { morsel_close(object); }
};
struct Unmap {
  void operator()(morsel_mapping* mapping) const { morsel_unmap(mapping); }
};
using Object = std::unique_ptr<morsel_object, Close>;
using Map = std::unique_ptr<morsel_mapping, Unmap>;

// What has to succeed.
Object create(morsel_backend backend, uint64_t bytes);
Object from_fd(int fd);
Map map(const Object& object, morsel_access access);
void seal(const Object& object);
Object receive(int socket);
void send(const Object& object, int socket, morsel_access access);

inline char* at(const Map& mapping, uint64_t offset = 0) {
  return static_cast<char*>(morsel_address(mapping.get())) + offset;
}

/// A word that is different for each seed and offset.
inline uint64_t word(uint64_t seed, uint64_t offset) {
  return (offset + seed * 0x9e3779b97f4a7c15U) * 0xbf58476d1ce4e5b9U;
}
void fill(const Map& mapping, uint64_t seed);
/// One word of each 4 KiB, and the last; of the first `bytes`, or of all.
testing::AssertionResult has(const Map& mapping, uint64_t seed, uint64_t bytes = 0);
testing::AssertionResult is_zero(const Map& mapping);

/// Ends what is repeated at random: after so many rounds, or sooner on a slow machine.
class Rounds {
 public:
  explicit Rounds(unsigned most) : left_(most) {}
  bool next() { return left_-- > 0 && std::chrono::steady_clock::now() - started_ < limit; }

 private:
  static constexpr std::chrono::seconds limit{5};
  unsigned left_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

/// A connected pair; closed at the end.
struct Sockets {
  explicit Sockets(int type = SOCK_SEQPACKET);
  ~Sockets();
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;
  void close_one(int which);
  int end[2];
};

/// A child process that runs `body`, and ends well if it returns true. Killed at the end, if it
/// lives.
class Child {
 public:
  explicit Child(const std::function<bool()>& body);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  bool ended_well();
  /// Whether it was still there.
  bool kill();

 private:
  pid_t pid_;
};

/// Two processes wait for each other.
class Gate {
 public:
  Gate();
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  void open();
  void wait();

 private:
  int end_[2];
};

/// Whether reading there gives SIGBUS.
bool gives_sigbus(const volatile char* address);

/// A file of `bytes` words of this seed, on tmpfs; unlinked. The descriptor is open for both.
int make_source(uint64_t seed, uint64_t bytes);

class Conformance : public testing::TestWithParam<morsel_backend> {
 protected:
  void SetUp() override;
  void TearDown() override;
  [[nodiscard]] Object create(uint64_t bytes) const {
    return conformance::create(GetParam(), bytes);
  }
  /// Skips the test where the module can't seal yet.
  [[nodiscard]] bool can_seal() const;
  /// Bytes in use by all objects of this backend, on this machine.
  [[nodiscard]] uint64_t used() const;

 private:
  uint64_t used_before_ = 0;
  int descriptors_before_ = 0;
};

/// A suite of tests, run with each backend.
// NOLINTBEGIN(bugprone-macro-parentheses): a class's name
#define CONFORMANCE_SUITE(name)                                                                    \
  class name : public conformance::Conformance {};                                                 \
  INSTANTIATE_TEST_SUITE_P(, name, testing::Values(MORSEL_MORSELFS, MORSEL_HUGETLB, MORSEL_MEMFD), \
                           [](const auto& info) { return morsel_backend_name(info.param); })
// NOLINTEND(bugprone-macro-parentheses)

#define SKIP_UNLESS_SEALABLE() \
  if (!can_seal()) GTEST_SKIP() << "this morselfs can't seal"

}  // namespace conformance
