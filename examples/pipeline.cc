// SPDX-License-Identifier: MIT
// Three processes: the first reads standard input, the second makes capitals of it, the third
// writes it to standard output. Nothing is copied in between: the second one changes each packet
// where it is, and hands it on.
#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <morsel/morsel.hpp>
#include <system_error>

#include "process.h"

namespace {

enum Queue : unsigned { text, capitals, queues };

void read_input(const morsel::Channel& channel) {
  for (;;) {
    morsel::Packet packet = channel.make(1 << 20);
    const auto room = packet.writable();
    const ssize_t got = ::read(STDIN_FILENO, room.data(), room.size());
    if (got < 0) throw std::system_error(errno, std::generic_category(), "standard input");
    if (got == 0) return;  // leaving the channel tells the next stage
    packet.resize(static_cast<uint64_t>(got));
    packet.send(text);
  }
}

void make_capitals(const morsel::Channel& channel) {
  while (morsel::Packet packet = channel.receive(text, MORSEL_READ_WRITE)) {
    for (std::byte& byte : packet.writable())
      byte = static_cast<std::byte>(std::toupper(static_cast<unsigned char>(byte)));
    packet.send(capitals);
  }
}

void write_output(const morsel::Channel& channel) {
  while (const morsel::Packet packet = channel.receive(capitals)) {
    const auto data = packet.bytes();
    if (std::fwrite(data.data(), 1, data.size(), stdout) != data.size()) break;
  }
  if (std::fflush(stdout) != 0)
    throw std::system_error(errno, std::generic_category(), "standard output");
}

}  // namespace

int main() {
  return example::run([] {
    auto channel = morsel::Channel::create({.queues = queues, .waiting = 4, .objects = 8});
    // What a process does not say is that it does both.
    const example::Process reader([&] {
      channel.set_role(text, MORSEL_SENDER);
      channel.set_role(capitals, MORSEL_NEITHER);
      read_input(channel);
    });
    const example::Process middle([&] {
      channel.set_role(text, MORSEL_RECEIVER);
      channel.set_role(capitals, MORSEL_SENDER);
      make_capitals(channel);
    });
    channel.set_role(text, MORSEL_NEITHER);
    channel.set_role(capitals, MORSEL_RECEIVER);
    write_output(channel);
  });
}
