// SPDX-License-Identifier: MIT
// The header for C++ alone, and an object, a seal and a channel by it.
#include <morsel/morsel.hpp>

#include <cstdio>
#include <cstring>

#include <morsel/morselfs.h>

int main() {
  auto object = morsel::Object::create(1 << 20, {.backend = MORSEL_MEMFD});
  {
    const auto mapping = object.map();
    std::memcpy(mapping.writable().data(), "a word", 7);
  }
  object.seal();
  const auto mapping = object.map(MORSEL_READ);
  if (std::memcmp(mapping.bytes().data(), "a word", 7) != 0) return 1;
  try {
    (void)object.map(MORSEL_READ_WRITE);
    return 2;
  } catch (const morsel::Exception& refused) {
    if (refused.code().value() != EPERM) return 3;
  }
  auto channel = morsel::Channel::create({.backend = MORSEL_MEMFD});
  auto packet = channel.make(100);
  packet.writable()[99] = std::byte{7};
  packet.send();
  if (channel.receive().bytes()[99] != std::byte{7}) return 4;
  static_assert(sizeof(morselfs_info) % 8 == 0);
  std::printf("libmorsel %s\n", morsel_version());
}
