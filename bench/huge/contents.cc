// SPDX-License-Identifier: MIT
#include "contents.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <random>
#include <system_error>
#include <vector>

#include "measure.h"

namespace morsel::bench {
namespace {

constexpr uint64_t least_block = 128 << 10;  // cp's
constexpr double most_exponent = 26;         // 64 MiB

class File {
 public:
  File(const std::string& path, int flags)
      : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    if (fd_ < 0) fail();
  }
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] struct stat status() const {
    struct stat status {};
    if (::fstat(fd_, &status) != 0) fail();
    return status;
  }
  void write(const void* from, uint64_t bytes) const {
    if (::write(fd_, from, bytes) != static_cast<ssize_t>(bytes)) fail();
  }
  void touch() const {
    const auto bytes = static_cast<size_t>(status().st_size);
    void* at = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd_, 0);
    if (at == MAP_FAILED) fail();
    touch_page(static_cast<const unsigned char*>(at), 0);
    ::munmap(at, bytes);
  }

 private:
  [[noreturn]] void fail() const { throw std::system_error(errno, std::generic_category(), path_); }

  std::string path_;
  int fd_;
};

std::string name_in(const std::string& directory, uint64_t number) {
  return directory + "/f" + std::to_string(number);
}

}  // namespace

nlohmann::ordered_json write_file(const std::string& path, uint64_t bytes) {
  const File file(path, O_WRONLY | O_CREAT | O_TRUNC);
  const auto block = std::max(least_block, static_cast<uint64_t>(file.status().st_blksize));
  std::vector<uint64_t> words(block / 8);
  for (uint64_t i = 0; i < words.size(); ++i) words[i] = i * 0x9e3779b97f4a7c15 + 1;
  const uint64_t start = now_ns();
  for (uint64_t done = 0; done < bytes; done += block)
    file.write(words.data(), std::min(block, bytes - done));
  return {{"bytes", bytes}, {"write_us", to_us(now_ns() - start)}};
}

nlohmann::ordered_json write_files(const std::string& directory, uint64_t bytes, uint64_t seed) {
  // Not a distribution of the library's: the sizes are to be the same wherever it is built.
  std::mt19937_64 random(seed);
  uint64_t files = 0, all = 0;
  for (; all < bytes; ++files) {
    const double place = static_cast<double>(random() >> 11) * 0x1p-53;
    const auto size = static_cast<uint64_t>(std::exp2(place * most_exponent));
    write_file(name_in(directory, files), size);
    all += size;
  }
  return {{"files", files}, {"bytes", all}};
}

void map_files(const std::string& directory, uint64_t files) {
  for (uint64_t number = 0; number < files; ++number)
    File(name_in(directory, number), O_RDONLY).touch();
}

}  // namespace morsel::bench
