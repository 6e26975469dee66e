// SPDX-License-Identifier: MIT
// Many to one: four processes look for primes, each in its part of the numbers, and send what they
// find in packets whose size nobody knows beforehand. One collects and counts.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <morsel/morsel.hpp>

#include "process.h"

namespace {

constexpr uint32_t workers = 4, span = 10'000;

bool is_prime(uint32_t number) {
  for (uint64_t divisor = 2; divisor * divisor <= number; ++divisor)
    if (number % divisor == 0) return false;
  return number >= 2;
}

/// The primes of [from, to), one packet.
void send_primes(const morsel::Channel& channel, uint32_t from, uint32_t to) {
  morsel::Packet packet = channel.make(0);
  for (uint32_t number = from; number < to; ++number) {
    if (!is_prime(number)) continue;
    const uint64_t size = packet.bytes().size();
    packet.resize(size + sizeof number);
    std::memcpy(packet.writable().data() + size, &number, sizeof number);
  }
  packet.send();
}

void work(const morsel::Channel& channel, uint32_t worker, uint32_t end) {
  for (uint32_t from = worker * span; from < end; from += workers * span)
    send_primes(channel, from, std::min(from + span, end));
}

}  // namespace

int main(int argc, char** argv) {
  return example::run([&] {
    const auto end = argc > 1 ? static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10)) : 1000000;
    auto channel = morsel::Channel::create();
    std::list<example::Process> processes;
    for (uint32_t worker = 0; worker < workers; ++worker)
      processes.emplace_back([&] {
        channel.set_role(0, MORSEL_SENDER);
        work(channel, worker, end);
      });
    channel.set_role(0, MORSEL_RECEIVER);
    uint64_t count = 0;
    while (const morsel::Packet packet = channel.receive())
      count += packet.bytes().size() / sizeof(uint32_t);
    std::printf("%llu primes below %u\n", static_cast<unsigned long long>(count), end);
  });
}
