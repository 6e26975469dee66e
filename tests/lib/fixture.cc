// SPDX-License-Identifier: MIT
#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sys/statfs.h>

#include <fstream>
#include <thread>
#include <vector>

namespace conformance {

Settings settings;

namespace {

uint64_t meminfo(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  std::string word;
  uint64_t value;
  while (file >> word)
    if (word == key + ":" && file >> value) return value;
  return 0;
}

int open_descriptors() {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  if (!folder) return 0;
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

template <typename Pointer, typename Raw>
Pointer owned(int result, Raw* raw, const morsel_error& error, const char* what) {
  if (result == 0) return Pointer(raw);
  // Also in a child, where nobody sees a failed assertion.
  fprintf(stderr, "%s: %d %s\n", what, error.code, error.text);
  ADD_FAILURE() << what << ": " << error.text;
  throw std::runtime_error(what);
}

}  // namespace

Object create(morsel_backend backend, uint64_t bytes) {
  morsel_options options{sizeof options, backend, nullptr, 0, nullptr};
  if (backend == MORSEL_MORSELFS) options.directory = settings.directory.c_str();
  morsel_object* object = nullptr;
  morsel_error error;
  int result = morsel_create(bytes, &options, &object, &error);
  return owned<Object>(result, object, error, "create");
}

Object from_fd(int fd) {
  morsel_object* object = nullptr;
  morsel_error error;
  int result = morsel_from_fd(fd, &object, &error);
  return owned<Object>(result, object, error, "from_fd");
}

Map map(const Object& object, morsel_access access) {
  morsel_mapping* mapping = nullptr;
  morsel_error error;
  int result = morsel_map(object.get(), access, &mapping, &error);
  return owned<Map>(result, mapping, error, "map");
}

void seal(const Object& object) {
  morsel_error error;
  ASSERT_EQ(morsel_seal(object.get(), &error), 0) << error.text;
}

Object receive(int socket) {
  morsel_object* object = nullptr;
  morsel_error error;
  int result = morsel_receive(socket, &object, &error);
  return owned<Object>(result, object, error, "receive");
}

void send(const Object& object, int socket, morsel_access access) {
  morsel_error error;
  ASSERT_EQ(morsel_send(object.get(), socket, access, &error), 0) << error.text;
}

void fill(const Map& mapping, uint64_t seed) {
  auto* words = reinterpret_cast<uint64_t*>(at(mapping));
  for (uint64_t i = 0; i < morsel_mapped_bytes(mapping.get()) / 8; i++)
    words[i] = word(seed, i * 8);
}

namespace {

testing::AssertionResult each(const Map& mapping, uint64_t bytes,
                              const std::function<uint64_t(uint64_t offset)>& expected) {
  auto* words = reinterpret_cast<const uint64_t*>(at(mapping));
  uint64_t count = (bytes ? bytes : morsel_mapped_bytes(mapping.get())) / 8;
  auto wrong = [&](uint64_t i) {
    return testing::AssertionFailure() << "at byte " << i * 8 << ": expected " << std::hex
                                       << expected(i * 8) << ", seen " << words[i];
  };
  for (uint64_t i = 0; i < count; i += 512)
    if (words[i] != expected(i * 8)) return wrong(i);
  if (words[count - 1] != expected((count - 1) * 8)) return wrong(count - 1);
  return testing::AssertionSuccess();
}

}  // namespace

testing::AssertionResult has(const Map& mapping, uint64_t seed, uint64_t bytes) {
  return each(mapping, bytes, [=](uint64_t offset) { return word(seed, offset); });
}

testing::AssertionResult is_zero(const Map& mapping) {
  return each(mapping, 0, [](uint64_t) { return 0; });
}

Sockets::Sockets(int type) {
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, end) != 0) throw std::runtime_error("socketpair");
}

Sockets::~Sockets() {
  close_one(0);
  close_one(1);
}

void Sockets::close_one(int which) {
  if (end[which] >= 0) close(end[which]);
  end[which] = -1;
}

Child::Child(const std::function<bool()>& body) {
  fflush(nullptr);
  pid_ = fork();
  if (pid_ != 0) return;
  bool well = false;
  try {
    well = body();
  } catch (const std::exception&) {
  }
  // Not exit(): sanitizers would look for leaks in the copy of the parent's memory.
  _exit(well ? 0 : 1);
}

Child::~Child() { kill(); }

bool Child::ended_well() {
  int status = -1;
  if (pid_ < 0 || waitpid(pid_, &status, 0) != pid_) return false;
  pid_ = -1;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool Child::kill() {
  if (pid_ < 0) return false;
  ::kill(pid_, SIGKILL);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

Gate::Gate() {
  if (pipe2(end_, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
}

Gate::~Gate() {
  close(end_[0]);
  close(end_[1]);
}

void Gate::open() {
  if (write(end_[1], "", 1) != 1) throw std::runtime_error("gate");
}

void Gate::wait() {
  char byte;
  if (read(end_[0], &byte, 1) != 1) throw std::runtime_error("gate");
}

bool gives_sigbus(const volatile char* address) {
  fflush(nullptr);
  pid_t pid = fork();
  if (pid == 0) {
    signal(SIGBUS, SIG_DFL);  // a sanitizer would report it
    static_cast<void>(*address);
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;
}

int make_source(uint64_t seed, uint64_t bytes) {
  int fd = memfd_create("source", MFD_CLOEXEC);
  std::vector<uint64_t> block(4096);
  for (uint64_t done = 0; done < bytes; done += block.size() * 8) {
    for (uint64_t i = 0; i < block.size(); i++) block[i] = word(seed, done + i * 8);
    uint64_t length = std::min<uint64_t>(bytes - done, block.size() * 8);
    if (pwrite(fd, block.data(), length, off_t(done)) != ssize_t(length))
      throw std::runtime_error("writing a source");
  }
  return fd;
}

uint64_t Conformance::used() const {
  switch (GetParam()) {
    case MORSEL_HUGETLB:
      return (meminfo("HugePages_Total") - meminfo("HugePages_Free") + meminfo("HugePages_Rsvd")) *
             2 * mib;
    case MORSEL_MEMFD:
      return meminfo("Shmem") * 1024;
    default: {
      struct statfs fs {};
      statfs(settings.directory.c_str(), &fs);
      return uint64_t(fs.f_blocks - fs.f_bfree) * uint64_t(fs.f_bsize);
    }
  }
}

bool Conformance::can_seal() const {
  if (GetParam() != MORSEL_MORSELFS) return true;
  Object object = create(4096);
  return morsel_seal(object.get(), nullptr) != -EOPNOTSUPP;
}

void Conformance::SetUp() {
  morsel_error error;
  if (GetParam() == MORSEL_MORSELFS) {
    if (settings.directory.empty()) GTEST_SKIP() << "no directory on morselfs was given";
  } else if (morsel_backend_probe(GetParam(), 256 * mib, &error) != 0) {
    GTEST_SKIP() << error.text;
  }
  used_before_ = used();
  descriptors_before_ = open_descriptors();
}

void Conformance::TearDown() {
  if (descriptors_before_ == 0) return;
  EXPECT_EQ(open_descriptors(), descriptors_before_);
  // The kernel frees some of it a moment later, and other programs come and go.
  uint64_t slack = GetParam() == MORSEL_MEMFD ? mib : 0;
  for (int tries = 0; tries < 3000 && used() > used_before_ + slack; tries++)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_LE(used(), used_before_ + slack) << "memory is left in use";
}

}  // namespace conformance
