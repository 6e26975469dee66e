// SPDX-License-Identifier: MIT
//
// morsel.hpp: owners and exceptions.
#include <morsel/morsel.hpp>
#include <type_traits>

#include "fixture.h"

CONFORMANCE_SUITE(Wrapper);

namespace {

using namespace conformance;

static_assert(std::is_nothrow_move_constructible_v<morsel::Object>);
static_assert(std::is_nothrow_move_assignable_v<morsel::Mapping>);
static_assert(!std::is_copy_constructible_v<morsel::Object>);
static_assert(!std::is_copy_constructible_v<morsel::Mapping>);
static_assert(std::is_nothrow_move_constructible_v<morsel::Packet>);
static_assert(std::is_nothrow_move_assignable_v<morsel::Packet>);
static_assert(!std::is_copy_constructible_v<morsel::Packet>);

morsel::Object make(morsel_backend backend, uint64_t bytes) {
  return morsel::Object::create(bytes, {.backend = backend, .directory = settings.directory});
}

template <typename Body>
int thrown_by(Body body) {
  try {
    body();
  } catch (const morsel::Exception& e) {
    EXPECT_NE(std::string(e.what()), "");
    EXPECT_EQ(e.code().category(), std::generic_category());
    return e.code().value();
  }
  return 0;
}

}  // namespace

TEST_P(Wrapper, owns) {
  morsel::Object object = make(GetParam(), 4 * mib);
  EXPECT_EQ(object.backend(), GetParam());
  EXPECT_EQ(object.bytes(), 4 * mib);
  EXPECT_EQ(object.statistics().bytes, 4 * mib);
  EXPECT_EQ(object.fallback(), "");
  morsel::Mapping mapping = object.map();
  mapping.touch();
  mapping.writable()[77] = std::byte(5);
  EXPECT_TRUE(object.in_use());
  Sockets sockets;
  object.send(sockets.end[0]);
  morsel::Object received = morsel::Object::receive(sockets.end[1]);
  morsel::Mapping reader = received.map(MORSEL_READ);
  EXPECT_EQ(reader.bytes()[77], std::byte(5));
  EXPECT_EQ(reader.bytes().size(), 4 * mib);
  mapping = std::move(reader);  // unmaps what it was
  received = morsel::Object::from_fd(object.fd());
  EXPECT_EQ(mapping.bytes()[77], std::byte(5));
  object.resize(2 * mib);
  EXPECT_EQ(received.bytes(), 2 * mib);
}

TEST_P(Wrapper, throws) {
  using morsel::Object;
  EXPECT_EQ(thrown_by([&] { make(GetParam(), 0); }), EINVAL);
  EXPECT_EQ(thrown_by([&] { Object::from_fd(-1); }), EBADF);
  EXPECT_EQ(thrown_by([&] { Object::open("a/b"); }), EINVAL);
  EXPECT_EQ(thrown_by([&] { Object::remove(".a"); }), EINVAL);
  Object object = make(GetParam(), 2 * mib);
  morsel::Mapping reader = object.map(MORSEL_READ);
  EXPECT_EQ(thrown_by([&] { return reader.writable(); }), EACCES);
}

TEST_P(Wrapper, populates) {
  constexpr uint64_t bytes = 20 * mib;
  int source = make_source(1, bytes);
  morsel::Object object = make(GetParam(), bytes);
  uint64_t last = 0;
  object.populate(source, 0, bytes, [&](uint64_t done, uint64_t) {
    last = done;
    return true;
  });
  EXPECT_EQ(last, bytes);
  EXPECT_EQ(thrown_by([&] { object.populate(source, 0, bytes, [](auto, auto) { return false; }); }),
            ECANCELED);
  EXPECT_THROW(object.populate(source, 0, bytes, [](auto, auto) -> bool { throw 42; }), int);
  close(source);
}

TEST_P(Wrapper, seals) {
  SKIP_UNLESS_SEALABLE();
  morsel::Object object = make(GetParam(), 2 * mib);
  EXPECT_FALSE(object.is_sealed());
  object.seal();
  EXPECT_TRUE(object.is_sealed());
  EXPECT_EQ(thrown_by([&] { return object.map(); }), EPERM);
}

TEST_P(Wrapper, has_channels) {
  auto channel = morsel::Channel::create(
      {.backend = GetParam(), .directory = settings.directory, .waiting = 1, .objects = 1});
  EXPECT_EQ(channel.backend(), GetParam());
  EXPECT_EQ(channel.fallback(), "");
  EXPECT_EQ(channel.enforces(), GetParam() == MORSEL_MORSELFS);
  for (const uint64_t bytes : {uint64_t(8), 3 * mib}) {
    morsel::Packet packet = channel.make(8);
    packet.writable()[0] = std::byte(5);
    packet.resize(bytes);
    packet.writable()[bytes - 1] = std::byte(7);
    packet.send();
    EXPECT_FALSE(packet);
    packet = channel.receive();
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet.bytes().size(), bytes);
    EXPECT_EQ(packet.bytes()[bytes - 1], std::byte(7));
    EXPECT_EQ(thrown_by([&] { (void)packet.writable(); }), EACCES);
    EXPECT_EQ(thrown_by([&] { (void)channel.receive(0, MORSEL_READ, {}); }), EAGAIN);
  }  // given up
  morsel::Packet large = channel.make(mib);
  morsel::Packet moved = std::move(large);
  EXPECT_FALSE(large);
  EXPECT_EQ(thrown_by([&] { (void)channel.make(mib, {}); }), EAGAIN);
  moved = morsel::Packet();
  EXPECT_TRUE(channel.make(mib, {}));

  // The end.
  channel.make(8).send();
  channel.set_role(0, MORSEL_RECEIVER);
  EXPECT_TRUE(channel.receive());
  EXPECT_EQ(thrown_by([&] { (void)channel.receive(0, MORSEL_READ, {}); }), EAGAIN);
}
