// SPDX-License-Identifier: MIT
// Channels: what comes out is what went in, once, in order, and when.
#include "channel.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <random>
#include <set>
#include <thread>
#include <vector>

using namespace conformance;

CONFORMANCE_SUITE(Channels);

namespace {

constexpr uint64_t sizes[] = {0,       1,       8,       4096,   64 << 10, (64 << 10) + 8,
                              1 * mib, 2 * mib, 3 * mib, 7 * mib};
constexpr unsigned all_cells = 64 + 2 * 64, all_objects = 16;

bool readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return poll(&one, 1, 0) == 1;
}

}  // namespace

TEST_P(Channels, hand_over_packets_of_all_sizes) {
  Channel channel = make_channel(GetParam());
  for (int round = 0; round < 2; round++)
    for (uint64_t bytes : sizes) {
      morsel_packet packet = make_packet(channel, bytes);
      EXPECT_EQ(packet.bytes, bytes);
      EXPECT_GE(packet.capacity, bytes);
      EXPECT_TRUE(is_zero(packet)) << bytes;
      fill(packet, bytes + round);
      send_packet(channel, packet);
      EXPECT_EQ(packet.data, nullptr);
      packet = receive_packet(channel);
      ASSERT_EQ(packet.bytes, bytes);
      uint64_t seed;
      if (bytes >= 8) {
        EXPECT_TRUE(has(packet, &seed));
        EXPECT_EQ(seed, bytes + round);
      }
      release(channel, packet);
    }
  EXPECT_TRUE(nothing_is_lost(channel, all_cells, all_objects));
}

TEST_P(Channels, hand_over_in_order_between_processes) {
  Channel channel = make_channel(GetParam(), 0, 4, 3);
  constexpr uint64_t packets = 300;
  Child sender([&] {
    set_role(channel, MORSEL_SENDER);
    for (uint64_t i = 0; i < packets; i++) {
      morsel_packet packet = make_packet(channel, 8 + i % 5 * 50 * 1024 / 8 * 8);
      fill(packet, i);
      send_packet(channel, packet);
    }
    return true;
  });
  set_role(channel, MORSEL_RECEIVER);
  for (uint64_t i = 0; i < packets; i++) {
    morsel_packet packet = receive_packet(channel);
    uint64_t seed;
    ASSERT_TRUE(has(packet, &seed));
    ASSERT_EQ(seed, i);
    release(channel, packet);
  }
  EXPECT_TRUE(sender.ended_well());
  morsel_packet none{};
  EXPECT_EQ(morsel_packet_receive(channel.get(), 0, MORSEL_READ, patience, &none, nullptr), -EPIPE);
}

// What a receiver makes of a packet, the next one gets, in the same memory.
TEST_P(Channels, packets_are_changed_and_sent_on) {
  Channel channel = make_channel(GetParam()), back = make_channel(GetParam());
  for (uint64_t bytes : {uint64_t(64), 3 * mib}) {
    morsel_packet packet = make_packet(channel, bytes);
    fill(packet, 1);
    send_packet(channel, packet);
    packet = receive_packet(channel, MORSEL_READ_WRITE);
    fill(packet, 2);
    packet.bytes = bytes / 2;
    send_packet(channel, packet);
    packet = receive_packet(channel);
    EXPECT_EQ(packet.bytes, bytes / 2);
    uint64_t seed;
    EXPECT_TRUE(has(packet, &seed));
    EXPECT_EQ(seed, 2U);
    release(channel, packet);
  }
}

// One packet all the way, and the same memory again.
TEST_P(Channels, a_pipeline_of_processes) {
  Channel channel = make_channel(GetParam(), 0, 0, 2, 2);
  constexpr uint64_t packets = 20;
  for (uint64_t bytes : {uint64_t(64), 3 * mib}) {
    Gate there;
    Child middle([&] {
      set_role(channel, MORSEL_RECEIVER, 0);
      set_role(channel, MORSEL_SENDER, 1);
      there.open();
      for (uint64_t i = 0; i < packets; i++) {
        morsel_packet packet = receive_packet(channel, MORSEL_READ_WRITE, 0);
        uint64_t seed;
        if (packet.bytes != bytes || !has(packet, &seed) || seed != 2 * i) return false;
        fill(packet, seed + 1);
        send_packet(channel, packet, 1);
      }
      return true;
    });
    there.wait();
    set_role(channel, MORSEL_SENDER, 0);
    set_role(channel, MORSEL_RECEIVER, 1);
    for (uint64_t i = 0; i < packets; i++) {
      morsel_packet packet = make_packet(channel, bytes);
      fill(packet, 2 * i);
      const uint32_t buffer = packet.buffer;
      send_packet(channel, packet);
      packet = receive_packet(channel, MORSEL_READ, 1);
      EXPECT_EQ(packet.buffer, buffer);
      uint64_t seed;
      EXPECT_TRUE(has(packet, &seed));
      EXPECT_EQ(seed, 2 * i + 1);
      release(channel, packet);
    }
    EXPECT_TRUE(middle.ended_well());
    morsel_packet none{};
    EXPECT_EQ(morsel_packet_receive(channel.get(), 1, MORSEL_READ, patience, &none, nullptr),
              -EPIPE);
  }
}

TEST_P(Channels, what_is_received_for_reading_is_not_written_to) {
  Channel channel = make_channel(GetParam());
  morsel_packet packet = make_packet(channel, 3 * mib);
  send_packet(channel, packet);
  packet = receive_packet(channel, MORSEL_READ);
  EXPECT_EQ(morsel_packet_reserve(channel.get(), &packet, 9 * mib, nullptr), -EACCES);
  Child writer([&] {
    signal(SIGSEGV, [](int) { _exit(0); });
    static_cast<volatile char*>(packet.data)[5] = 1;
    return false;
  });
  EXPECT_TRUE(writer.ended_well());
  release(channel, packet);
}

TEST_P(Channels, a_packet_grows_with_its_contents) {
  Channel channel = make_channel(GetParam());
  for (int round = 0; round < 2; round++) {
    morsel_packet packet = make_packet(channel, 0);
    uint64_t grown = 0;
    for (uint64_t bytes :
         {uint64_t(8), uint64_t(4096), uint64_t(64 << 10), 1 * mib, 5 * mib, 5 * mib + 8}) {
      ASSERT_EQ(morsel_packet_reserve(channel.get(), &packet, bytes, nullptr), 0);
      ASSERT_GE(packet.capacity, bytes);
      for (uint64_t at = 0; at < bytes / 8; at++) {
        uint64_t& there = static_cast<uint64_t*>(packet.data)[at];
        ASSERT_EQ(there, at < grown / 8 ? word(3, at) : 0) << at << " at " << bytes;
        there = word(3, at);
      }
      grown = packet.bytes = bytes;
    }
    send_packet(channel, packet);
    packet = receive_packet(channel);
    EXPECT_EQ(packet.bytes, 5 * mib + 8);
    for (uint64_t at = 0; at < packet.bytes / 8; at++)
      ASSERT_EQ(static_cast<uint64_t*>(packet.data)[at], word(3, at)) << at;
    release(channel, packet);
  }
  EXPECT_TRUE(nothing_is_lost(channel, all_cells, all_objects));
}

// A large one, then a small one in what the large one left, which is seen by nobody.
TEST_P(Channels, old_data_are_seen_by_who_asks_for_them_only) {
  for (const unsigned flags : {0U, unsigned(MORSEL_OLD_DATA)}) {
    Channel channel = make_channel(GetParam(), flags, 1, 1);
    for (uint64_t bytes : {3 * mib, 2 * mib + 8, 4 * mib, 100 * uint64_t(1024)}) {
      morsel_packet packet = make_packet(channel, bytes);
      bool clean = true;
      for (uint64_t at = 0; at < bytes && clean; at += 512)
        clean = static_cast<char*>(packet.data)[at] == 0;
      EXPECT_TRUE(clean || flags) << bytes;
      memset(packet.data, 0xaa, bytes);
      send_packet(channel, packet);
      packet = receive_packet(channel);
      if (flags == 0) {
        // Not beyond its end either.
        const uint64_t end = (bytes + 4095) / 4096 * 4096;
        for (uint64_t at = bytes; at < end; at++)
          ASSERT_EQ(static_cast<char*>(packet.data)[at], 0) << at;
      }
      release(channel, packet);
    }
  }
}

TEST_P(Channels, full_and_empty) {
  Channel channel = make_channel(GetParam(), 0, 2, 1);
  morsel_packet packet{}, more{};
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(morsel_packet_receive(channel.get(), 0, MORSEL_READ, 0, &packet, nullptr), -EAGAIN);
  EXPECT_EQ(morsel_packet_receive(channel.get(), 0, MORSEL_READ, 150, &packet, nullptr),
            -ETIMEDOUT);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(150));
  for (int i = 0; i < 2; i++) {
    packet = make_packet(channel, 8);
    send_packet(channel, packet);
  }
  packet = make_packet(channel, mib);
  EXPECT_EQ(morsel_packet_send(channel.get(), 0, &packet, 0, nullptr), -EAGAIN);
  EXPECT_EQ(morsel_packet_send(channel.get(), 0, &packet, 20, nullptr), -ETIMEDOUT);
  fill(packet, 7);  // it is still ours
  EXPECT_EQ(morsel_packet_new(channel.get(), mib, 0, &more, nullptr), -EAGAIN);
  more = make_packet(channel, 8);
  EXPECT_EQ(morsel_packet_reserve(channel.get(), &more, mib, nullptr), -ENOBUFS);
  release(channel, more);
  morsel_packet first = receive_packet(channel);
  release(channel, first);
  send_packet(channel, packet);
  for (int i = 0; i < 2; i++) {
    packet = receive_packet(channel);
    release(channel, packet);
  }
  EXPECT_TRUE(nothing_is_lost(channel, 2 + 2 * 64, 1));
}

TEST_P(Channels, packets_of_others_are_refused) {
  Channel channel = make_channel(GetParam());
  morsel_packet packet = make_packet(channel, 8), copy = packet;
  send_packet(channel, packet);
  EXPECT_EQ(morsel_packet_send(channel.get(), 0, &copy, 0, nullptr), -EINVAL);
  EXPECT_EQ(morsel_packet_send(channel.get(), 0, &packet, 0, nullptr), -EINVAL);
  EXPECT_EQ(morsel_packet_reserve(channel.get(), &copy, 16, nullptr), -EINVAL);
  copy.buffer = 1 << 30;
  EXPECT_EQ(morsel_packet_send(channel.get(), 0, &copy, 0, nullptr), -EINVAL);
  release(channel, copy);
  packet = receive_packet(channel, MORSEL_READ_WRITE);
  // Of the same buffer, but of an earlier turn.
  copy.buffer = packet.buffer;
  EXPECT_EQ(morsel_packet_send(channel.get(), 0, &copy, 0, nullptr), -EINVAL);
  release(channel, copy);
  // Or of another process: what fork() copied is not the child's.
  Child child([&] {
    release(channel, packet);
    return morsel_packet_send(channel.get(), 0, &packet, 0, nullptr) == -EINVAL;
  });
  EXPECT_TRUE(child.ended_well());
  packet.bytes = packet.capacity + 1;
  EXPECT_EQ(morsel_packet_send(channel.get(), 0, &packet, 0, nullptr), -EMSGSIZE);
  release(channel, packet);
  release(channel, packet);
  set_role(channel, MORSEL_RECEIVER);
  packet = make_packet(channel, 8);
  EXPECT_EQ(morsel_packet_send(channel.get(), 0, &packet, 0, nullptr), -EACCES);
  EXPECT_EQ(morsel_packet_send(channel.get(), 1, &packet, 0, nullptr), -EINVAL);
  release(channel, packet);
  set_role(channel, MORSEL_SENDER);
  EXPECT_EQ(morsel_packet_receive(channel.get(), 0, MORSEL_READ, 0, &packet, nullptr), -EACCES);
  EXPECT_EQ(morsel_packet_new(channel.get(), UINT64_MAX, 0, &packet, nullptr), -EINVAL);
  EXPECT_TRUE(nothing_is_lost(channel, all_cells, all_objects));
}

TEST_P(Channels, descriptors_say_what_is_so) {
  Channel channel = make_channel(GetParam(), 0, 1, 1);
  const int in = morsel_channel_pollable(channel.get(), 0, MORSEL_RECEIVER, nullptr);
  const int out = morsel_channel_pollable(channel.get(), 0, MORSEL_SENDER, nullptr);
  ASSERT_GE(in, 0);
  ASSERT_GE(out, 0);
  for (int i = 0; i < 3; i++) {
    EXPECT_FALSE(readable(in));
    EXPECT_TRUE(readable(out));
    morsel_packet packet = make_packet(channel, 8);
    send_packet(channel, packet);
    EXPECT_TRUE(readable(in));
    EXPECT_FALSE(readable(out));
    packet = receive_packet(channel);
    release(channel, packet);
  }
  // In another process, too; and the end of all senders is something to look at.
  Child sender([&] {
    set_role(channel, MORSEL_SENDER);
    morsel_packet packet = make_packet(channel, 8);
    send_packet(channel, packet);
    return true;
  });
  pollfd one{in, POLLIN, 0};
  EXPECT_EQ(poll(&one, 1, patience), 1);
  EXPECT_TRUE(sender.ended_well());
}

TEST_P(Channels, processes_join_over_a_socket) {
  Sockets sockets;
  Channel channel = make_channel(GetParam(), MORSEL_OLD_DATA);
  set_role(channel, MORSEL_SENDER);
  Child receiver([&] {
    channel.reset();  // what fork() gave us
    morsel_channel* joined = nullptr;
    if (morsel_channel_join(sockets.end[1], MORSEL_RECEIVER, 0, &joined, nullptr) != -EPERM)
      return false;
    if (morsel_channel_join(sockets.end[1], MORSEL_RECEIVER, MORSEL_OLD_DATA, &joined, nullptr) !=
        0)
      return false;
    Channel own(joined);
    for (uint64_t i = 0; i < 20; i++) {
      morsel_packet packet = receive_packet(own);
      uint64_t seed;
      if (!has(packet, &seed) || seed != i) return false;
      release(own, packet);
    }
    return true;
  });
  for (int i = 0; i < 2; i++)
    ASSERT_EQ(morsel_channel_invite(channel.get(), sockets.end[0], nullptr), 0);
  for (uint64_t i = 0; i < 20; i++) {
    morsel_packet packet = make_packet(channel, i % 2 ? 800 : 3 * mib);
    fill(packet, i);
    send_packet(channel, packet);
  }
  EXPECT_TRUE(receiver.ended_well());
}

TEST_P(Channels, what_is_no_invitation) {
  Sockets sockets;
  morsel_channel* joined = nullptr;
  for (const size_t length : {1, 31, 32, 33, 100}) {
    const std::vector<char> garbage(length, 'x');
    ASSERT_EQ(write(sockets.end[0], garbage.data(), length), ssize_t(length));
    EXPECT_EQ(morsel_channel_join(sockets.end[1], MORSEL_BOTH, 0, &joined, nullptr), -EBADMSG);
  }
  Object object = create(2 * mib);
  send(object, sockets.end[0], MORSEL_READ);
  EXPECT_EQ(morsel_channel_join(sockets.end[1], MORSEL_BOTH, 0, &joined, nullptr), -EBADMSG);
  sockets.close_one(0);
  EXPECT_EQ(morsel_channel_join(sockets.end[1], MORSEL_BOTH, 0, &joined, nullptr), -EPIPE);
}

TEST_P(Channels, options_that_are_none) {
  morsel_channel* none = nullptr;
  morsel_channel_options options{};
  EXPECT_EQ(morsel_channel_create(&options, &none, nullptr), -EINVAL);
  options.struct_size = sizeof options;
  options.waiting = 1025;
  EXPECT_EQ(morsel_channel_create(&options, &none, nullptr), -EINVAL);
  options.waiting = 0;
  options.objects = 65;
  EXPECT_EQ(morsel_channel_create(&options, &none, nullptr), -EINVAL);
  options.objects = 0;
  options.flags = 2;
  EXPECT_EQ(morsel_channel_create(&options, &none, nullptr), -EINVAL);
  options.flags = 0;
  options.queues = 9;
  EXPECT_EQ(morsel_channel_create(&options, &none, nullptr), -EINVAL);
  options.queues = 0;
  options.cell_bytes = mib + 1;
  EXPECT_EQ(morsel_channel_create(&options, &none, nullptr), -EINVAL);
}

// At most 64, forked ones too; those who left make room.
TEST_P(Channels, members_are_limited) {
  Sockets sockets;
  Channel channel = make_channel(GetParam(), 0, 1, 1);
  std::vector<Channel> all;
  for (int round = 0; round < 2; round++) {
    int code = 0;
    for (;;) {
      ASSERT_EQ(morsel_channel_invite(channel.get(), sockets.end[0], nullptr), 0);
      morsel_channel* joined = nullptr;
      code = morsel_channel_join(sockets.end[1], MORSEL_NEITHER, 0, &joined, nullptr);
      if (code != 0) break;
      all.emplace_back(joined);
    }
    EXPECT_EQ(code, -EUSERS);
    EXPECT_EQ(all.size(), 63U);
    Child child([&] {
      morsel_packet none{};
      return morsel_packet_new(channel.get(), 8, 0, &none, nullptr) == -EBADF;
    });
    EXPECT_TRUE(child.ended_well());
    all.clear();
  }
}

// A sender that comes late is seen by who polls.
TEST_P(Channels, descriptors_follow_who_comes_and_goes) {
  Sockets sockets;
  Channel channel = make_channel(GetParam());
  auto join = [&](morsel_role role) {
    morsel_channel* joined = nullptr;
    EXPECT_EQ(morsel_channel_invite(channel.get(), sockets.end[0], nullptr), 0);
    EXPECT_EQ(morsel_channel_join(sockets.end[1], role, 0, &joined, nullptr), 0);
    return Channel(joined);
  };
  set_role(channel, MORSEL_RECEIVER);
  const int in = morsel_channel_pollable(channel.get(), 0, MORSEL_RECEIVER, nullptr);
  EXPECT_FALSE(readable(in));  // nobody has come yet
  for (int i = 0; i < 2; i++) {
    const Channel sender = join(MORSEL_SENDER);
    EXPECT_FALSE(readable(in));
    morsel_packet packet{};
    EXPECT_EQ(morsel_packet_receive(channel.get(), 0, MORSEL_READ, 0, &packet, nullptr), -EAGAIN);
    packet = make_packet(sender, 8);
    send_packet(sender, packet);
    EXPECT_TRUE(readable(in));
    packet = receive_packet(channel);
    release(channel, packet);
    EXPECT_FALSE(readable(in));
  }
  EXPECT_TRUE(readable(in));  // the end
}

// Several of each, threads and processes: each packet is received once, and each sender's are in
// order for who receives several of them.
TEST_P(Channels, several_senders_and_receivers) {
  constexpr unsigned processes = 2, threads = 2, receivers = 3;
  constexpr uint64_t packets = sanitized ? 100 : 400;
  Channel channel = make_channel(GetParam(), 0, 5, 8), results = make_channel(GetParam());
  std::vector<std::unique_ptr<Child>> children;
  for (unsigned process = 0; process < processes; process++)
    children.push_back(std::make_unique<Child>([&, process] {
      set_role(channel, MORSEL_SENDER);
      std::vector<std::thread> running;
      for (unsigned thread = 0; thread < threads; thread++)
        running.emplace_back([&, thread] {
          const uint64_t who = process * threads + thread;
          for (uint64_t i = 0; i < packets; i++) {
            morsel_packet packet = make_packet(channel, i % 4 ? 8 + i % 64 * 8 : 80 << 10);
            fill(packet, who << 32 | i);
            send_packet(channel, packet);
          }
        });
      for (std::thread& one : running) one.join();
      return true;
    }));
  for (unsigned receiver = 0; receiver < receivers; receiver++)
    children.push_back(std::make_unique<Child>([&] {
      set_role(channel, MORSEL_RECEIVER);
      std::vector<uint64_t> last(processes * threads, 0);
      for (;;) {
        morsel_packet packet{};
        const int code =
            morsel_packet_receive(channel.get(), 0, MORSEL_READ, patience, &packet, nullptr);
        if (code == -EPIPE) return true;
        uint64_t seed;
        if (code != 0 || !has(packet, &seed)) return false;
        const uint64_t who = seed >> 32, number = (seed & UINT32_MAX) + 1;
        if (who >= last.size() || number <= last[who]) return false;
        last[who] = number;
        release(channel, packet);
        morsel_packet word = make_packet(results, 8);
        *static_cast<uint64_t*>(word.data) = seed;
        send_packet(results, word);
      }
    }));
  channel.reset();
  set_role(results, MORSEL_RECEIVER);
  std::set<uint64_t> seen;
  for (uint64_t i = 0; i < packets * processes * threads; i++) {
    morsel_packet word = receive_packet(results);
    EXPECT_TRUE(seen.insert(*static_cast<uint64_t*>(word.data)).second);
    release(results, word);
  }
  for (const auto& child : children) EXPECT_TRUE(child->ended_well());
}
