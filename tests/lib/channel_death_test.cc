// SPDX-License-Identifier: MIT
// Members of a channel that die: what they had sent arrives, what they owned is used again, and
// nobody waits for them for ever.
#include "channel.h"

#include <poll.h>

#include <random>
#include <vector>

using namespace conformance;

CONFORMANCE_SUITE(ChannelDeath);

TEST_P(ChannelDeath, what_was_sent_arrives) {
  Channel channel = make_channel(GetParam());
  Gate sent;
  Child sender([&] {
    for (uint64_t bytes : {uint64_t(800), 3 * mib}) {
      morsel_packet packet = make_packet(channel, bytes);
      fill(packet, bytes);
      send_packet(channel, packet);
    }
    (void)make_packet(channel, 8);
    (void)make_packet(channel, mib);
    sent.open();
    pause();
    return false;
  });
  set_role(channel, MORSEL_RECEIVER);
  sent.wait();
  sender.kill();
  for (uint64_t bytes : {uint64_t(800), 3 * mib}) {
    morsel_packet packet = receive_packet(channel);
    uint64_t seed;
    EXPECT_TRUE(has(packet, &seed));
    EXPECT_EQ(seed, bytes);
    release(channel, packet);
  }
  morsel_packet none{};
  EXPECT_EQ(morsel_packet_receive(channel.get(), 0, MORSEL_READ, patience, &none, nullptr), -EPIPE);
  set_role(channel, MORSEL_BOTH);
  EXPECT_TRUE(nothing_is_lost(channel, 64 + 2 * 64, 16));
}

TEST_P(ChannelDeath, of_all_receivers_ends_waiting) {
  Channel channel = make_channel(GetParam(), 0, 1);
  set_role(channel, MORSEL_SENDER);
  Gate there;
  Child receiver([&] {
    set_role(channel, MORSEL_RECEIVER);
    there.open();
    pause();
    return false;
  });
  there.wait();
  morsel_packet packet = make_packet(channel, 8);
  send_packet(channel, packet);
  packet = make_packet(channel, 8);
  EXPECT_EQ(morsel_packet_send(channel.get(), 0, &packet, 50, nullptr), -ETIMEDOUT);
  receiver.kill();
  EXPECT_EQ(morsel_packet_send(channel.get(), 0, &packet, patience, nullptr), -EPIPE);
  release(channel, packet);
}

// Back-pressure by buffers that a dead process has.
TEST_P(ChannelDeath, buffers_come_back_to_who_waits_for_them) {
  Channel channel = make_channel(GetParam(), 0, 0, 2);
  Gate full;
  Child greedy([&] {
    for (int i = 0; i < 2; i++) (void)make_packet(channel, 3 * mib);
    full.open();
    pause();
    return false;
  });
  full.wait();
  morsel_packet packet{};
  EXPECT_EQ(morsel_packet_new(channel.get(), mib, 50, &packet, nullptr), -ETIMEDOUT);
  greedy.kill();
  for (int i = 0; i < 2; i++) {
    packet = make_packet(channel, mib);
    EXPECT_TRUE(is_zero(packet));
    send_packet(channel, packet);
  }
}

TEST_P(ChannelDeath, is_seen_by_who_never_waits) {
  Channel channel = make_channel(GetParam(), 0, 0, 1);
  const int readable = morsel_channel_pollable(channel.get(), 0, MORSEL_RECEIVER, nullptr);
  Gate full;
  Child greedy([&] {
    (void)make_packet(channel, 3 * mib);
    full.open();
    pause();
    return false;
  });
  set_role(channel, MORSEL_RECEIVER);
  full.wait();
  morsel_packet packet{};
  EXPECT_EQ(morsel_packet_new(channel.get(), mib, 0, &packet, nullptr), -EAGAIN);
  greedy.kill();
  int tries = 0;
  while (morsel_packet_new(channel.get(), mib, 0, &packet, nullptr) != 0) {
    ASSERT_LT(tries++, 1000);
    usleep(10000);
  }
  release(channel, packet);
  // It was the last sender, too.
  pollfd one{readable, POLLIN, 0};
  EXPECT_EQ(poll(&one, 1, 0), 1);
  EXPECT_EQ(morsel_packet_receive(channel.get(), 0, MORSEL_READ, 0, &packet, nullptr), -EPIPE);
}

// At any instruction, in the middle of whatever they do. The others neither hang nor see anything
// wrong, and in the end every buffer is there.
TEST_P(ChannelDeath, at_any_moment) {
  std::mt19937 random(GetParam());
  Channel channel = make_channel(GetParam(), 0, 3, 4);
  auto sender = [&] {
    return std::make_unique<Child>([&]() -> bool {
      for (uint64_t i = 0;; i++) {
        // The last two have to share what there is, and cut each other's.
        constexpr uint64_t sizes[] = {80, 80, 100 << 10, 5 * mib / 2};
        morsel_packet packet = make_packet(channel, sizes[i % 4]);
        fill(packet, i);
        send_packet(channel, packet);
      }
    });
  };
  auto receiver = [&] {
    return std::make_unique<Child>([&] {
      for (;;) {
        morsel_packet packet = receive_packet(channel);
        uint64_t seed;
        if (!has(packet, &seed)) return false;
        release(channel, packet);
      }
    });
  };
  for (Rounds rounds(40); rounds.next();) {
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < 2; i++) {
      children.push_back(sender());
      children.push_back(receiver());
    }
    for (const auto& child : children) {
      usleep(random() % 15000);
      EXPECT_TRUE(child->kill());  // nothing had gone wrong there
    }
    // We are left, and can do both.
    for (int i = 0; i < 3; i++) {
      morsel_packet packet = make_packet(channel, i % 2 ? 8 : 100 << 10);
      EXPECT_TRUE(is_zero(packet));
      fill(packet, 5);
      if (morsel_packet_send(channel.get(), 0, &packet, 0, nullptr) != 0) release(channel, packet);
    }
    morsel_packet packet{};
    while (morsel_packet_receive(channel.get(), 0, MORSEL_READ, 0, &packet, nullptr) == 0) {
      uint64_t seed;
      EXPECT_TRUE(has(packet, &seed));
      release(channel, packet);
    }
  }
  // The dead are found when somebody waits.
  morsel_packet none{};
  EXPECT_EQ(morsel_packet_receive(channel.get(), 0, MORSEL_READ, 300, &none, nullptr), -ETIMEDOUT);
  EXPECT_TRUE(nothing_is_lost(channel, 3 + 2 * 64, 4));
}
