// SPDX-License-Identifier: MIT
// libmorsel's channel: a queue to each stage, and one back, whose packets are empty.
#include <morsel/morsel.hpp>
#include <stdexcept>

#include "way.h"

namespace morsel::bench {
namespace {

constexpr unsigned queues = 3;

class ChannelWay final : public Way {
 public:
  explicit ChannelWay(const WayOptions& options) : bytes_(options.bytes) {
    morsel_channel_options wanted{};
    wanted.struct_size = sizeof wanted;
    wanted.directory = options.directory.empty() ? nullptr : options.directory.c_str();
    // All stages are one program's, and each overwrites what it is given.
    wanted.flags = MORSEL_OLD_DATA;
    wanted.queues = queues;
    wanted.waiting = 2;
    wanted.objects = 2;
    detail::call(morsel_channel_create, &wanted, &channel_);
  }
  ~ChannelWay() override { morsel_channel_close(channel_); }

  void enter(Stage stage) override {
    next_ = static_cast<unsigned>(stage);
    previous_ = (next_ + queues - 1) % queues;
    is_last_ = stage == Stage::last;
    for (unsigned queue = 0; queue < queues; ++queue)
      detail::call(morsel_channel_set_role, channel_, queue,
                   queue == next_       ? MORSEL_SENDER
                   : queue == previous_ ? MORSEL_RECEIVER
                                        : MORSEL_NEITHER);
  }
  Bytes make() override {
    detail::call(morsel_packet_new, channel_, bytes_, -1, &packet_);
    return open();
  }
  void await() override {
    detail::call(morsel_packet_receive, channel_, previous_,
                 is_last_ ? MORSEL_READ : MORSEL_READ_WRITE, -1, &packet_);
  }
  Bytes open() override { return {static_cast<std::byte*>(packet_.data), packet_.bytes}; }
  void pass() override { detail::call(morsel_packet_send, channel_, next_, &packet_, -1); }
  void finish() override {
    morsel_packet_release(channel_, &packet_);
    detail::call(morsel_packet_new, channel_, uint64_t{0}, -1, &packet_);
    pass();
  }
  void await_end() override {
    await();
    morsel_packet_release(channel_, &packet_);
  }

  [[nodiscard]] std::string note() const override {
    return morsel_backend_name(morsel_channel_backend(channel_));
  }

 private:
  uint64_t bytes_;
  morsel_channel* channel_ = nullptr;
  morsel_packet packet_{};
  unsigned next_ = 0, previous_ = 0;
  bool is_last_ = false;
};

}  // namespace

std::unique_ptr<Way> make_channel_way(const WayOptions& options) {
  return std::make_unique<ChannelWay>(options);
}

}  // namespace morsel::bench
