// SPDX-License-Identifier: MIT
// All bytes of each packet go through the kernel, from one stage's own memory to the next one's.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>

#include "sockets.h"
#include "system.h"

namespace morsel::bench {
namespace {

class StreamWay final : public Way {
 public:
  explicit StreamWay(const WayOptions& options)
      : buffer_(options.bytes), is_pipe_(options.system == "pipe") {
    if (!is_pipe_) return;
    for (auto& pipe : pipes_) {
      checked(::pipe2(pipe.data(), O_CLOEXEC), "pipe");
      ::fcntl(pipe[1], F_SETPIPE_SZ, 1 << 20);  // as much as everybody may have
    }
  }
  ~StreamWay() override {
    for (const auto& pipe : pipes_)
      for (const int end : pipe)
        if (end > 0) ::close(end);
  }

  void enter(Stage stage) override {
    stage_ = static_cast<unsigned>(stage);
    sockets_.enter(stage);
  }
  Bytes make() override { return buffer_; }
  void await() override {
    pollfd one{in(), POLLIN, 0};
    checked(::poll(&one, 1, -1), "poll");
  }
  Bytes open() override {
    for (Bytes rest = buffer_; !rest.empty();) {
      const auto got = checked(::read(in(), rest.data(), rest.size()), "read");
      if (got == 0) throw std::runtime_error("the stage before has ended");
      rest = rest.subspan(static_cast<size_t>(got));
    }
    return buffer_;
  }
  void pass() override {
    for (Bytes rest = buffer_; !rest.empty();)
      rest = rest.subspan(
          static_cast<size_t>(checked(::write(out(), rest.data(), rest.size()), "write")));
  }
  void finish() override {
    const char byte = 0;
    checked(::write(out(), &byte, 1), "write");
  }
  void await_end() override {
    char byte = 0;
    checked(::read(in(), &byte, 1), "read");
  }

 private:
  [[nodiscard]] int out() const { return is_pipe_ ? pipes_[stage_][1] : sockets_.next(); }
  [[nodiscard]] int in() const {
    return is_pipe_ ? pipes_[(stage_ + 2) % 3][0] : sockets_.previous();
  }

  std::vector<std::byte> buffer_;
  bool is_pipe_;
  Sockets sockets_{SOCK_STREAM};
  std::array<std::array<int, 2>, 3> pipes_{};
  unsigned stage_ = 0;
};

}  // namespace

std::unique_ptr<Way> make_stream_way(const WayOptions& options) {
  return std::make_unique<StreamWay>(options);
}

}  // namespace morsel::bench
