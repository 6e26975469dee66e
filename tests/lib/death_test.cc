// SPDX-License-Identifier: MIT
//
// Processes that die. Whatever they were doing: nothing stays behind (the fixture looks), and the
// others go on.
#include <sys/prctl.h>

#include <random>

#include "fixture.h"

using namespace conformance;

CONFORMANCE_SUITE(Death);

namespace {

constexpr uint64_t bytes = 24 * mib;

}  // namespace

TEST_P(Death, of_the_sender) {
  Sockets sockets;
  Gate sent;
  Child sender([&] {
    Object object = create(bytes);
    Map mapping = map(object, MORSEL_READ_WRITE);
    fill(mapping, 1);
    send(object, sockets.end[0], MORSEL_READ_WRITE);
    sent.open();
    pause();
    return false;
  });
  sent.wait();
  sender.kill();
  // It was on its way all the time.
  Object object = receive(sockets.end[1]);
  EXPECT_TRUE(has(map(object, MORSEL_READ), 1));
  sockets.close_one(0);
  morsel_object* none = nullptr;
  EXPECT_EQ(morsel_receive(sockets.end[1], &none, nullptr), -EPIPE);
}

TEST_P(Death, of_the_receiver) {
  Sockets sockets;
  Gate received;
  Child receiver([&] {
    Object object = receive(sockets.end[1]);
    Map mapping = map(object, MORSEL_READ_WRITE);
    fill(mapping, 2);
    received.open();
    pause();
    return false;
  });
  Object object = create(bytes);
  send(object, sockets.end[0], MORSEL_READ_WRITE);
  received.wait();
  receiver.kill();
  EXPECT_TRUE(has(map(object, MORSEL_READ), 2));
  sockets.close_one(1);
  EXPECT_EQ(morsel_send(object.get(), sockets.end[0], MORSEL_READ, nullptr), -EPIPE);
}

// One process made the object and has it mapped for the others, as the holder does; they keep what
// they have when it goes, and the next one begins where it is.
TEST_P(Death, of_who_holds_the_mapping) {
  Sockets sockets;
  Child holder([&] {
    Object object = create(bytes);
    Map mapping = map(object, MORSEL_READ_WRITE);
    fill(mapping, 3);
    send(object, sockets.end[0], MORSEL_READ);
    pause();
    return false;
  });
  Object object = receive(sockets.end[1]);
  Map early = map(object, MORSEL_READ);
  EXPECT_TRUE(has(early, 3));
  holder.kill();
  EXPECT_TRUE(has(early, 3));
  EXPECT_TRUE(has(map(object, MORSEL_READ), 3));
}

TEST_P(Death, anywhere) {
  const char* chosen = getenv("MORSELS_TEST_SEED");
  unsigned seed = chosen ? unsigned(atoi(chosen)) : std::random_device{}();
  SCOPED_TRACE("MORSELS_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  int source = make_source(1, bytes);
  Object shared = create(mib);
  fill(map(shared, MORSEL_READ_WRITE), 8);

  // How long a round takes when nobody kills it says when to kill.
  auto round = [&] {
    Sockets sockets;
    Object object = create(bytes);
    if (morsel_populate(object.get(), source, 0, bytes, nullptr, nullptr, nullptr) != 0)
      return false;
    Map mapping = map(object, MORSEL_READ_WRITE);
    send(object, sockets.end[0], MORSEL_READ_WRITE);
    Object received = receive(sockets.end[1]);
    if (!has(map(received, MORSEL_READ), 1)) return false;
    send(object, sockets.end[0], MORSEL_READ);  // and nobody takes it
    mapping.reset();
    morsel_resize(object.get(), 10 * mib, nullptr);
    morsel_resize(object.get(), bytes, nullptr);
    morsel_seal(object.get(), nullptr);
    Map other = map(shared, MORSEL_READ);
    return bool(has(other, 8));
  };
  auto started = std::chrono::steady_clock::now();
  ASSERT_TRUE(round());
  std::chrono::duration<double, std::micro> length = std::chrono::steady_clock::now() - started;
  std::uniform_real_distribution<double> moment(0, 2 * length.count());
  for (Rounds rounds(60); rounds.next();) {
    Child child([&] {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (;;)
        if (!round()) return false;
    });
    usleep(useconds_t(moment(random)));
    child.kill();
  }
  EXPECT_EQ(morsel_in_use(shared.get(), nullptr), 0);
  EXPECT_TRUE(has(map(shared, MORSEL_READ), 8));
  close(source);
}

// Receives while senders die in the middle of it.
TEST_P(Death, of_senders_at_any_time) {
  std::mt19937 random(std::random_device{}());
  Rounds rounds(30);
  for (int i = 0; rounds.next(); i++) {
    Sockets sockets(i % 2 ? SOCK_STREAM : SOCK_SEQPACKET);
    Child sender([&] {
      for (uint64_t seed = 0;; seed++) {
        Object object = create(mib);
        fill(map(object, MORSEL_READ_WRITE), seed);
        send(object, sockets.end[0], MORSEL_READ);
      }
      return true;
    });
    sockets.close_one(0);
    std::uniform_int_distribution<uint64_t> some(0, 8);
    for (uint64_t seed = 0, last = some(random); seed < last; seed++)
      EXPECT_TRUE(has(map(receive(sockets.end[1]), MORSEL_READ), seed));
    sender.kill();
    int result;
    do {
      morsel_object* object = nullptr;
      result = morsel_receive(sockets.end[1], &object, nullptr);
      morsel_close(object);
    } while (result == 0);
    EXPECT_EQ(result, -EPIPE);
  }
}
