// SPDX-License-Identifier: MIT
#include "operations.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "system_call.h"

namespace morsel::bench {
namespace {

constexpr uint64_t page_bytes = 4 << 10, huge_bytes = 2 << 20;
/// Of an object that is mapped whole, and of each worker's part of one that is read and written.
constexpr uint64_t object_bytes = 8 << 20;

uint64_t unit_of(const Place& place) { return place.huge_pages ? huge_bytes : page_bytes; }

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { ::close(fd_); }
  operator int() const { return fd_; }  // NOLINT(google-explicit-constructor)

 private:
  int fd_;
};

class Mapping {
 public:
  Mapping(int fd, uint64_t offset, uint64_t bytes) : bytes_(bytes) {
    void* at =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
    if (at == MAP_FAILED) throw std::runtime_error("mmap");
    data_ = static_cast<volatile char*>(at);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { ::munmap(const_cast<char*>(data_), bytes_); }
  volatile char& operator[](uint64_t at) const { return data_[at]; }

 private:
  volatile char* data_;
  uint64_t bytes_;
};

/// A file, or a memfd, that everybody opens for himself.
class Object {
 public:
  Object(const Place& place, unsigned number, uint64_t bytes)
      : named_(!place.directory.empty()),
        path_(named_ ? place.directory + "/scale-" + std::to_string(number) : ""),
        fd_(checked(named_ ? ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
                           : ::memfd_create("scale", MFD_CLOEXEC),
                    "an object")) {
    checked(::ftruncate(fd_, static_cast<off_t>(bytes)), "ftruncate");
    if (!named_) path_ = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_);
  }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  ~Object() {
    if (named_) ::unlink(path_.c_str());
  }
  /// By mapped stores: write(2) is not for hugetlb.
  void fill(uint64_t bytes, uint64_t unit) const {
    const Mapping mapping(fd_, 0, bytes);
    for (uint64_t at = 0; at < bytes; at += unit) mapping[at] = 'x';
  }
  [[nodiscard]] int open() const {
    return checked(::open(path_.c_str(), O_RDWR | O_CLOEXEC), path_);
  }

 private:
  bool named_;
  std::string path_;
  Fd fd_;
};

/// One object for all, or one for each.
class Objects {
 public:
  Objects(const Place& place, bool same, unsigned workers, uint64_t bytes, bool filled) {
    for (unsigned number = 0; number < (same ? 1 : workers); ++number) {
      objects_.push_back(std::make_unique<Object>(place, number, bytes));
      if (filled) objects_.back()->fill(bytes, unit_of(place));
    }
  }
  [[nodiscard]] int open(unsigned worker) const {
    return objects_[worker % objects_.size()]->open();
  }

 private:
  std::vector<std::unique_ptr<Object>> objects_;
};

/// The least that enters the kernel, and shares nothing: what the machine itself gives to many.
class NoWork : public Work {
 public:
  void once(unsigned) override { ::syscall(SYS_getppid); }
};

/// A worker with an open file description of its own.
class FileWork : public Work {
 public:
  explicit FileWork(int fd) : fd_(fd) {}

 protected:
  Fd fd_;
};

/// Maps all of an object, touches one page of it, unmaps it.
class MapWork : public FileWork {
 public:
  using FileWork::FileWork;
  void once(unsigned) override {
    const Mapping mapping(fd_, 0, object_bytes);
    touched_ = mapping[0];
  }

 private:
  char touched_ = 0;
};

/// Touches holes of its part of an object, one after the other.
class FillWork : public FileWork {
 public:
  FillWork(int fd, uint64_t offset, uint64_t bytes, uint64_t unit)
      : FileWork(fd), mapping_(fd_, offset, bytes), unit_(unit) {}
  void once(unsigned time) override { mapping_[time * unit_] = 'x'; }

 private:
  Mapping mapping_;
  uint64_t unit_;
};

/// Pages of its part, in turn.
class ReadWork : public FileWork {
 public:
  ReadWork(int fd, unsigned worker, bool writes)
      : FileWork(fd), start_(worker * object_bytes), writes_(writes) {}
  void once(unsigned time) override {
    const auto at = static_cast<off_t>(start_ + time * page_bytes % object_bytes);
    checked(writes_ ? ::pwrite(fd_, page_.data(), page_.size(), at)
                    : ::pread(fd_, page_.data(), page_.size(), at),
            "pread or pwrite");
  }

 private:
  uint64_t start_;
  bool writes_;
  std::array<char, page_bytes> page_{};
};

/// Makes a file with a page of data, and removes it; in a directory of its own.
class CreateWork : public Work {
 public:
  explicit CreateWork(std::string directory)
      : directory_(std::move(directory)), path_(directory_ + "/file") {
    checked(::mkdir(directory_.c_str(), 0700), directory_);
  }
  CreateWork(const CreateWork&) = delete;
  CreateWork& operator=(const CreateWork&) = delete;
  ~CreateWork() override { ::rmdir(directory_.c_str()); }
  void once(unsigned) override {
    {
      const Fd fd(
          checked(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), path_));
      checked(::write(fd, page_.data(), page_.size()), "write");
    }
    checked(::unlink(path_.c_str()), path_);
  }

 private:
  std::string directory_, path_;
  std::array<char, page_bytes> page_{};
};

class AnyStage : public Stage {
 public:
  AnyStage(std::string operation, const Place& place, bool same, unsigned workers, unsigned times)
      : operation_(std::move(operation)),
        place_(place),
        part_(round_up(times * unit_of(place))),
        same_(same) {
    const bool maps = begins("map"), fills = begins("fill");
    const uint64_t own = fills ? part_ : object_bytes;
    if (!begins("create") && !begins("nothing"))
      objects_ = std::make_unique<Objects>(place, same, workers,
                                           same && !maps ? workers * own : own, !fills);
  }
  std::unique_ptr<Work> work(unsigned worker) override {
    if (begins("nothing")) return std::make_unique<NoWork>();
    if (begins("create"))
      return std::make_unique<CreateWork>(place_.directory + "/scale-" + std::to_string(worker));
    const int fd = objects_->open(worker);
    if (begins("map")) return std::make_unique<MapWork>(fd);
    if (begins("fill"))
      return std::make_unique<FillWork>(fd, same_ ? worker * part_ : 0, part_, unit_of(place_));
    return std::make_unique<ReadWork>(fd, worker, begins("write"));
  }

 private:
  static uint64_t round_up(uint64_t bytes) {
    return (bytes + huge_bytes - 1) / huge_bytes * huge_bytes;
  }
  [[nodiscard]] bool begins(const char* word) const { return operation_.starts_with(word); }

  std::string operation_;
  Place place_;
  uint64_t part_;
  bool same_;
  std::unique_ptr<Objects> objects_;
};

}  // namespace

const std::vector<Operation>& operations() {
  static const std::vector<Operation> all = {
      {"map-same", true, false},  {"map-own", false, false}, {"fill-same", true, false},
      {"fill-own", false, false}, {"read-same", true, true}, {"write-same", true, true},
      {"create", false, true},    {"nothing", false, false},
  };
  return all;
}

std::unique_ptr<Stage> make_stage(const std::string& operation, const Place& place,
                                  unsigned workers, unsigned times) {
  for (const Operation& one : operations())
    if (one.name == operation)
      return std::make_unique<AnyStage>(operation, place, one.same, workers, times);
  throw std::runtime_error("there is no operation " + operation);
}

}  // namespace morsel::bench
