// SPDX-License-Identifier: MIT
#include "file_copy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "mapping.h"
#include "spawn.h"

namespace morsel::bench {
namespace {

class File {
 public:
  File(const std::string& path, int flags) : path_(path) {
    fd_ = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
    if (fd_ < 0) fail();
  }
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int fd() const { return fd_; }
  [[noreturn]] void fail() const { throw std::system_error(errno, std::generic_category(), path_); }

 private:
  std::string path_;
  int fd_;
};

}  // namespace

uint64_t file_bytes(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) throw std::system_error(errno, std::generic_category(), path);
  return static_cast<uint64_t>(st.st_size);
}

void copy_with_cp(const std::string& from, const std::string& to) {
  if (const int status = run_program({"cp", from, to}); status != 0) {
    ::unlink(to.c_str());
    throw std::runtime_error("cp " + from + " " + to + " failed with status " +
                             std::to_string(status));
  }
}

void copy_by_mapping(const std::string& from, const std::string& to) {
  const uint64_t bytes = file_bytes(from);
  const uint64_t length = round_up(bytes, pmd_slot_bytes);
  const File source(from, O_RDONLY);
  const File target(to, O_RDWR | O_CREAT | O_TRUNC);
  if (::ftruncate(target.fd(), static_cast<off_t>(length)) != 0) target.fail();
  void* mapped = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, target.fd(), 0);
  if (mapped == MAP_FAILED) target.fail();

  auto* out = static_cast<unsigned char*>(mapped);
  for (uint64_t done = 0; done < bytes;) {
    const ssize_t n = ::read(source.fd(), out + done, std::min(bytes - done, uint64_t{8} << 20));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) source.fail();
    done += static_cast<uint64_t>(n);
  }
  ::munmap(mapped, length);
}

}  // namespace morsel::bench
