// SPDX-License-Identifier: MIT
#include "memory.h"

#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <map>
#include <stdexcept>

#include "morselfs.h"
#include "system_call.h"

namespace morsel::bench {
namespace {

constexpr uint64_t page = 4096, huge_page = 2 << 20;

uint64_t round_up(uint64_t bytes, uint64_t unit) { return (bytes + unit - 1) / unit * unit; }

/// A new file with all its memory.
class Object {
 public:
  Object(const std::string& directory, uint64_t length)
      : path_(directory + "/object"), file_(path_, O_RDWR | O_CREAT | O_EXCL) {
    checked(::ftruncate(file_.fd(), static_cast<off_t>(length)), "ftruncate");
    checked(::fallocate(file_.fd(), 0, 0, static_cast<off_t>(length)), "fallocate");
  }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  /// Not from the destructor: a child that ends must leave it.
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  File file_;
};

/// Mapped and populated; the driver pins it.
class Mapped : public Memory {
 public:
  Mapped(const std::string& directory, uint64_t length)
      : Memory(length), object_(directory, length) {
    prepare();  // what fallocate has not cleared is cleared at the first touch
    checked(::munmap(start_, length), "munmap");
  }

  void prepare() override {
    const File file(object_.path(), O_RDWR);
    start_ =
        ::mmap(nullptr, length(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.fd(), 0);
    if (start_ == MAP_FAILED) checked(-1, "mmap");
    checked(::madvise(start_, length(), MADV_POPULATE_WRITE), "MADV_POPULATE_WRITE");
  }
  Handle get() override { return {-1, start_}; }

 private:
  Object object_;
  void* start_ = nullptr;
};

/// A file on morselfs, opened by each process and exported.
class Morsel : public Memory {
 public:
  Morsel(const std::string& directory, uint64_t length)
      : Memory(length), object_(directory, length) {}

  void prepare() override { opened_ = std::make_unique<File>(object_.path(), O_RDWR); }
  Handle get() override {
    morselfs_export request{};
    request.size = sizeof request;
    checked(::ioctl(opened_->fd(), MORSELFS_IOC_EXPORT, &request), "MORSELFS_IOC_EXPORT");
    return {request.fd, nullptr};
  }

 private:
  Object object_;
  std::unique_ptr<File> opened_;
};

/// A memfd, which each process exports by udmabuf.
class Udmabuf : public Memory {
 public:
  explicit Udmabuf(uint64_t length)
      : Memory(length),
        memfd_(checked(::memfd_create("object", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create")) {
    checked(::ftruncate(memfd_, static_cast<off_t>(length)), "ftruncate");
    checked(::fallocate(memfd_, 0, 0, static_cast<off_t>(length)), "fallocate");
    checked(::fcntl(memfd_, F_ADD_SEALS, F_SEAL_SHRINK), "F_ADD_SEALS");
  }
  ~Udmabuf() override { ::close(memfd_); }

  void prepare() override { device_ = std::make_unique<File>("/dev/udmabuf", O_RDWR); }
  Handle get() override {
    udmabuf_create request{};
    request.memfd = static_cast<uint32_t>(memfd_);
    request.flags = UDMABUF_FLAGS_CLOEXEC;
    request.size = length();
    return {checked(::ioctl(device_->fd(), UDMABUF_CREATE, &request), "UDMABUF_CREATE"), nullptr};
  }

 private:
  int memfd_;
  std::unique_ptr<File> device_;
};

enum class Kind { mapped, hugetlb, morsel, udmabuf };
const std::map<std::string, Kind> kinds = {
    {"tmpfs-4k", Kind::mapped}, {"tmpfs-huge", Kind::mapped},    {"hugetlb", Kind::hugetlb},
    {"udmabuf", Kind::udmabuf}, {"udmabuf-kept", Kind::udmabuf}, {"morsel-4k", Kind::morsel},
    {"morsel-2m", Kind::morsel}};

}  // namespace

std::vector<std::string> systems() {
  std::vector<std::string> names;
  for (const auto& [name, kind] : kinds) names.push_back(name);
  return names;
}

std::unique_ptr<Memory> make_memory(const std::string& system, const std::string& directory,
                                    uint64_t bytes) {
  switch (kinds.at(system)) {
    case Kind::mapped:
      return std::make_unique<Mapped>(directory, round_up(bytes, page));
    case Kind::hugetlb:
      return std::make_unique<Mapped>(directory, round_up(bytes, huge_page));
    case Kind::morsel:
      return std::make_unique<Morsel>(directory, round_up(bytes, page));
    case Kind::udmabuf:
      return std::make_unique<Udmabuf>(round_up(bytes, page));
  }
  throw std::logic_error("unknown system");
}

}  // namespace morsel::bench
