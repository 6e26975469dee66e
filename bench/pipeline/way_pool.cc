// SPDX-License-Identifier: MIT
// The same memory for all packets, which all stages have mapped and touched before: only word of
// them is passed. By a socket, as programs do that pass descriptors otherwise; or, for the ring, by
// a futex.
#include <sys/socket.h>

#include <array>
#include <optional>

#include "bell.h"
#include "sockets.h"
#include "system.h"

namespace morsel::bench {
namespace {

constexpr uint64_t huge_page = 2U << 20;

class PoolWay final : public Way {
 public:
  explicit PoolWay(const WayOptions& options) : bytes_(options.bytes) {
    const bool huge = options.system == "hugetlb-recycled";
    slot_ = (bytes_ + huge_page - 1) / huge_page * huge_page;
    const int fd =
        checked(::memfd_create("pool", MFD_CLOEXEC | (huge ? MFD_HUGETLB : 0U)), "memfd_create");
    checked(::ftruncate(fd, static_cast<off_t>(slots * slot_)), "ftruncate");
    memory_ = map_shared(fd, slots * slot_, PROT_READ | PROT_WRITE);
    ::close(fd);
    if (options.system == "shm-ring") {
      void* at = ::mmap(nullptr, 3 * sizeof(Bell), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
      if (at == MAP_FAILED) fail("mmap");
      bells_ = new (at) std::array<Bell, 3>;
    } else {
      sockets_.emplace(SOCK_SEQPACKET);
    }
  }

  void enter(Stage stage) override {
    stage_ = static_cast<unsigned>(stage);
    if (sockets_) sockets_->enter(stage);
    // Another stage may be at work on the first packet.
    for (uint64_t at = 0; at < memory_.size(); at += 4096)
      __atomic_fetch_or(reinterpret_cast<unsigned char*>(&memory_[at]), 0, __ATOMIC_RELAXED);
  }

  Bytes make() override { return packet(); }
  void await() override {
    if (bells_)
      (*bells_)[(stage_ + 2) % 3].await();
    else
      (void)sockets_->receive();
  }
  Bytes open() override { return packet(); }
  void pass() override {
    ++passed_;
    tell();
  }
  void finish() override { pass(); }
  void await_end() override { await(); }

 private:
  static constexpr uint64_t slots = 2;

  [[nodiscard]] Bytes packet() const { return memory_.subspan(passed_ % slots * slot_, bytes_); }
  void tell() {
    if (bells_)
      (*bells_)[stage_].ring();
    else
      sockets_->send();
  }

  uint64_t bytes_, slot_, passed_ = 0;
  Bytes memory_;
  std::array<Bell, 3>* bells_ = nullptr;
  std::optional<Sockets> sockets_;
  unsigned stage_ = 0;
};

}  // namespace

std::unique_ptr<Way> make_pool_way(const WayOptions& options) {
  return std::make_unique<PoolWay>(options);
}

}  // namespace morsel::bench
