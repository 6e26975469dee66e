// SPDX-License-Identifier: MIT
#include "channel.h"

#include <vector>

namespace conformance {

namespace {

void must(int code, const morsel_error& error, const char* what) {
  if (code < 0) throw std::runtime_error(std::string(what) + ": " + error.text);
}

uint64_t* words(const morsel_packet& packet) { return static_cast<uint64_t*>(packet.data); }

}  // namespace

Channel make_channel(morsel_backend backend, unsigned flags, unsigned waiting, unsigned objects,
                     unsigned queues) {
  morsel_channel_options options{};
  options.struct_size = sizeof options;
  options.backend = backend;
  options.directory = settings.directory.empty() ? nullptr : settings.directory.c_str();
  options.flags = flags;
  options.waiting = waiting;
  options.objects = objects;
  options.queues = queues;
  morsel_channel* channel = nullptr;
  morsel_error error{};
  must(morsel_channel_create(&options, &channel, &error), error, "morsel_channel_create");
  return Channel(channel);
}

void set_role(const Channel& channel, morsel_role role, unsigned queue) {
  morsel_error error{};
  must(morsel_channel_set_role(channel.get(), queue, role, &error), error,
       "morsel_channel_set_role");
}

morsel_packet make_packet(const Channel& channel, uint64_t bytes) {
  morsel_packet packet{};
  morsel_error error{};
  must(morsel_packet_new(channel.get(), bytes, patience, &packet, &error), error,
       "morsel_packet_new");
  return packet;
}

void send_packet(const Channel& channel, morsel_packet& packet, unsigned queue) {
  morsel_error error{};
  must(morsel_packet_send(channel.get(), queue, &packet, patience, &error), error,
       "morsel_packet_send");
}

morsel_packet receive_packet(const Channel& channel, morsel_access access, unsigned queue) {
  morsel_packet packet{};
  morsel_error error{};
  must(morsel_packet_receive(channel.get(), queue, access, patience, &packet, &error), error,
       "morsel_packet_receive");
  return packet;
}

void fill(const morsel_packet& packet, uint64_t seed) {
  for (uint64_t at = 0; at < packet.bytes / 8; at++) words(packet)[at] = at ? word(seed, at) : seed;
}

testing::AssertionResult has(const morsel_packet& packet, uint64_t* seed) {
  *seed = words(packet)[0];
  for (uint64_t at = 1; at < packet.bytes / 8; at++)
    if (words(packet)[at] != word(*seed, at))
      return testing::AssertionFailure() << "word " << at << " of " << packet.bytes / 8
                                         << " of packet " << *seed << " is wrong";
  return testing::AssertionSuccess();
}

testing::AssertionResult is_zero(const morsel_packet& packet) {
  for (uint64_t at = 0; at < packet.capacity; at++)
    if (static_cast<char*>(packet.data)[at] != 0)
      return testing::AssertionFailure() << "byte " << at << " is not zero";
  return testing::AssertionSuccess();
}

testing::AssertionResult nothing_is_lost(const Channel& channel, unsigned cells, unsigned objects) {
  std::vector<morsel_packet> all;
  unsigned got[2] = {};
  for (const bool large : {false, true})
    for (;; got[large]++) {
      morsel_packet packet{};
      if (morsel_packet_new(channel.get(), large ? 100 << 10 : 8, 0, &packet, nullptr) != 0) break;
      all.push_back(packet);
    }
  for (morsel_packet& packet : all) release(channel, packet);
  if (got[0] == cells && got[1] == objects) return testing::AssertionSuccess();
  return testing::AssertionFailure() << got[0] << " of " << cells << " cells and " << got[1]
                                     << " of " << objects << " objects are to be had";
}

}  // namespace conformance
