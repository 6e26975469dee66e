// SPDX-License-Identifier: MIT
#include "model_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "weights.h"

namespace morsel::bench {
namespace {

struct Job {
  const TensorPlan* tensor;
  uint64_t chunk;
};

class OutputFile {
 public:
  explicit OutputFile(const Target& target)
      : final_path_(target.path),
        path_(target.offset ? target.path : target.path + ".part"),
        base_(target.offset.value_or(0)),
        own_(!target.offset) {
    const int flags = own_ ? O_WRONLY | O_CREAT | O_TRUNC : O_WRONLY;
    fd_ = ::open(path_.c_str(), flags | O_CLOEXEC, 0644);
    if (fd_ < 0) fail(errno, "cannot open");
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile() {
    if (fd_ < 0) return;
    ::close(fd_);
    if (own_) ::unlink(path_.c_str());
  }

  /// A full disk shows now, not after minutes of writing.
  void reserve(uint64_t bytes) {
    const int error = ::posix_fallocate(fd_, static_cast<off_t>(base_), static_cast<off_t>(bytes));
    if (error != 0) fail(error, "no room for");
  }

  /// Returns an errno value, 0 on success.
  int write_at(uint64_t offset, std::span<const unsigned char> bytes) const {
    while (!bytes.empty()) {
      const auto place = static_cast<off_t>(base_ + offset);
      const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), place);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return n < 0 ? errno : EIO;
      offset += static_cast<uint64_t>(n);
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
    return 0;
  }

  void publish() {
    const int fd = std::exchange(fd_, -1);
    if (::close(fd) != 0) fail(errno, "cannot write");
    if (own_ && std::rename(path_.c_str(), final_path_.c_str()) != 0) fail(errno, "cannot rename");
  }

  [[noreturn]] void fail(int error, const char* what) const {
    throw std::system_error(error, std::generic_category(), std::string(what) + " " + path_);
  }

 private:
  std::string final_path_;
  std::string path_;
  uint64_t base_;
  bool own_;
  int fd_ = -1;
};

}  // namespace

void write_model(const Target& target, const Layout& layout, uint64_t seed, unsigned threads) {
  OutputFile file(target);
  file.reserve(layout.file_bytes);

  std::vector<Job> jobs;
  for (const auto& tensor : layout.tensors)
    for (uint64_t done = 0; done < tensor.bytes; done += chunk_bytes)
      jobs.push_back({&tensor, done / chunk_bytes});

  const std::span header(reinterpret_cast<const unsigned char*>(layout.header.data()),
                         layout.header.size());
  std::atomic<int> error = file.write_at(0, header);
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    std::vector<unsigned char> buffer(chunk_bytes);
    while (error == 0) {
      const size_t mine = next++;
      if (mine >= jobs.size()) return;
      const Job& job = jobs[mine];
      const uint64_t start = job.chunk * chunk_bytes;
      const auto bytes = std::span(buffer).first(std::min(chunk_bytes, job.tensor->bytes - start));
      fill_chunk(*job.tensor, seed, job.chunk, bytes);
      if (const int failed =
              file.write_at(layout.header.size() + job.tensor->offset + start, bytes);
          failed != 0)
        error = failed;
    }
  };
  {
    std::vector<std::jthread> pool;
    for (unsigned i = 0; i < threads; ++i) pool.emplace_back(work);
  }
  if (error != 0) file.fail(error, "cannot write");
  file.publish();
}

}  // namespace morsel::bench
