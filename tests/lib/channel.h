// SPDX-License-Identifier: MIT
// What the tests of channels share.
#pragma once

#include "fixture.h"

namespace conformance {

struct CloseChannel {
  void operator()(morsel_channel* channel) const { morsel_channel_close(channel); }
};
using Channel = std::unique_ptr<morsel_channel, CloseChannel>;

constexpr int patience = 60'000;  // for what must not hang, and takes long on a slow machine

/// What has to succeed.
Channel make_channel(morsel_backend backend, unsigned flags = 0, unsigned waiting = 0,
                     unsigned objects = 0, unsigned queues = 1);
void set_role(const Channel& channel, morsel_role role, unsigned queue = 0);
morsel_packet make_packet(const Channel& channel, uint64_t bytes);
void send_packet(const Channel& channel, morsel_packet& packet, unsigned queue = 0);
morsel_packet receive_packet(const Channel& channel, morsel_access access = MORSEL_READ,
                             unsigned queue = 0);
inline void release(const Channel& channel, morsel_packet& packet) {
  morsel_packet_release(channel.get(), &packet);
}

/// The first word is `seed`, the others follow from it.
void fill(const morsel_packet& packet, uint64_t seed);
/// Whether it was filled; which seed it has.
testing::AssertionResult has(const morsel_packet& packet, uint64_t* seed);
testing::AssertionResult is_zero(const morsel_packet& packet);

/// Whether all buffers are free, or can be had again: makes as many packets as there may be.
testing::AssertionResult nothing_is_lost(const Channel& channel, unsigned cells, unsigned objects);

}  // namespace conformance
