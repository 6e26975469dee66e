// SPDX-License-Identifier: MIT
// A new file for each packet, whose descriptor goes from stage to stage; each maps it, and unmaps
// it once the next one has it.
#include <fcntl.h>
#include <sys/socket.h>

#include "sockets.h"
#include "system.h"

namespace morsel::bench {
namespace {

constexpr uint64_t huge_page = 2U << 20;

class FileWay final : public Way {
 public:
  explicit FileWay(const WayOptions& options) : options_(options) {}

  void enter(Stage stage) override {
    sockets_.enter(stage);
    access_ = stage == Stage::last ? PROT_READ : PROT_READ | PROT_WRITE;
  }

  Bytes make() override {
    fd_ = create();
    checked(::ftruncate(fd_, static_cast<off_t>(length())), "ftruncate");
    return open();
  }
  void await() override { fd_ = sockets_.receive(); }
  Bytes open() override {
    mapped_ = map_shared(fd_, mapped_length(), access_);
    return mapped_.first(options_.bytes);
  }
  void pass() override {
    sockets_.send(fd_);
    drop();
  }
  void finish() override {
    drop();
    sockets_.send();
  }
  void await_end() override { (void)sockets_.receive(); }

 private:
  [[nodiscard]] uint64_t length() const {
    return options_.system == "hugetlb" ? round_up(huge_page) : round_up(4096);
  }
  /// Of a file on morselfs, in whole slots.
  [[nodiscard]] uint64_t mapped_length() const {
    return options_.system == "morsel-file" ? round_up(huge_page) : length();
  }
  [[nodiscard]] uint64_t round_up(uint64_t unit) const {
    return (options_.bytes + unit - 1) / unit * unit;
  }
  [[nodiscard]] int create() const {
    if (!options_.directory.empty())
      return checked(::open(options_.directory.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600),
                     "making a file");
    const unsigned huge = options_.system == "hugetlb" ? MFD_HUGETLB : 0;
    return checked(::memfd_create("packet", MFD_CLOEXEC | huge), "memfd_create");
  }
  void drop() {
    ::munmap(mapped_.data(), mapped_.size());
    ::close(fd_);
  }

  WayOptions options_;
  Sockets sockets_{SOCK_SEQPACKET};
  int access_ = PROT_READ;
  int fd_ = -1;
  Bytes mapped_;
};

}  // namespace

std::unique_ptr<Way> make_file_way(const WayOptions& options) {
  return std::make_unique<FileWay>(options);
}

}  // namespace morsel::bench
