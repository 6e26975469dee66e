// SPDX-License-Identifier: MIT
//
// Objects from process to process.
#include <fcntl.h>

#include "fixture.h"

using namespace conformance;

CONFORMANCE_SUITE(Transfer);

namespace {

constexpr uint64_t odd = 5 * mib + 104;

int receive_error(int socket) {
  morsel_object* object = nullptr;
  morsel_error error;
  int result = morsel_receive(socket, &object, &error);
  EXPECT_EQ(error.code, result);
  morsel_close(object);
  return result;
}

}  // namespace

TEST_P(Transfer, over_streams_and_packets) {
  for (int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    Sockets sockets(type);
    Object first = create(odd), second = create(mib);
    fill(map(first, MORSEL_READ_WRITE), 1);
    fill(map(second, MORSEL_READ_WRITE), 2);
    send(first, sockets.end[0], MORSEL_READ);
    send(second, sockets.end[0], MORSEL_READ_WRITE);
    first.reset();
    second.reset();
    Object one = receive(sockets.end[1]), two = receive(sockets.end[1]);
    EXPECT_EQ(morsel_backend_of(one.get()), GetParam());
    EXPECT_TRUE(has(map(one, MORSEL_READ), 1));
    EXPECT_TRUE(has(map(two, MORSEL_READ), 2));
    EXPECT_EQ(fcntl(morsel_fd(one.get()), F_GETFD), FD_CLOEXEC);
  }
}

TEST_P(Transfer, gives_the_rights_that_were_said) {
  Sockets sockets;
  Object object = create(odd);
  morsel_mapping* mapping = nullptr;
  send(object, sockets.end[0], MORSEL_READ);
  Object reader = receive(sockets.end[1]);
  EXPECT_EQ(morsel_map(reader.get(), MORSEL_READ_WRITE, &mapping, nullptr), -EACCES);
  send(object, sockets.end[0], MORSEL_READ_WRITE);
  Object writer = receive(sockets.end[1]);
  fill(map(writer, MORSEL_READ_WRITE), 4);
  EXPECT_TRUE(has(map(reader, MORSEL_READ), 4));
  // Nobody can give more than he has.
  send(reader, sockets.end[0], MORSEL_READ_WRITE);
  Object third = receive(sockets.end[1]);
  EXPECT_EQ(morsel_map(third.get(), MORSEL_READ_WRITE, &mapping, nullptr), -EACCES);
}

TEST_P(Transfer, of_sealed_objects) {
  SKIP_UNLESS_SEALABLE();
  Sockets sockets;
  Object object = create(odd);
  fill(map(object, MORSEL_READ_WRITE), 1);
  seal(object);
  send(object, sockets.end[0], MORSEL_READ_WRITE);
  Object received = receive(sockets.end[1]);
  EXPECT_EQ(morsel_is_sealed(received.get()), 1);
  EXPECT_TRUE(has(map(received, MORSEL_READ), 1));
}

TEST_P(Transfer, between_processes_that_go_on) {
  Sockets sockets;
  Child child([&] {
    for (uint64_t round = 0; round < 20; round++) {
      Object object = receive(sockets.end[1]);
      if (!has(map(object, MORSEL_READ), round)) return false;
      fill(map(object, MORSEL_READ_WRITE), round + 1000);
      send(object, sockets.end[1], MORSEL_READ);
    }
    return true;
  });
  for (uint64_t round = 0; round < 20; round++) {
    Object object = create(mib);
    fill(map(object, MORSEL_READ_WRITE), round);
    send(object, sockets.end[0], MORSEL_READ_WRITE);
    Object back = receive(sockets.end[0]);
    EXPECT_TRUE(has(map(back, MORSEL_READ), round + 1000));
  }
  EXPECT_TRUE(child.ended_well());
}

TEST_P(Transfer, to_nobody) {
  for (int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    Sockets sockets(type);
    Object object = create(mib);
    sockets.close_one(1);
    morsel_error error;
    EXPECT_EQ(morsel_send(object.get(), sockets.end[0], MORSEL_READ, &error), -EPIPE);
    EXPECT_EQ(receive_error(sockets.end[0]), -EPIPE);
  }
}

TEST_P(Transfer, what_was_sent_and_never_received_is_freed) {
  Sockets sockets;
  for (int i = 0; i < 4; i++) send(create(4 * mib), sockets.end[0], MORSEL_READ);
}

TEST_P(Transfer, does_not_wait_where_it_must_not) {
  Sockets sockets;
  fcntl(sockets.end[0], F_SETFL, O_NONBLOCK);
  fcntl(sockets.end[1], F_SETFL, O_NONBLOCK);
  EXPECT_EQ(receive_error(sockets.end[1]), -EAGAIN);
  Object object = create(mib);
  int result = 0, sent = 0;
  while ((result = morsel_send(object.get(), sockets.end[0], MORSEL_READ, nullptr)) == 0) sent++;
  EXPECT_TRUE(result == -EAGAIN || result == -ETOOMANYREFS) << result;
  for (int i = 0; i < sent; i++) receive(sockets.end[1]);
  EXPECT_EQ(receive_error(sockets.end[1]), -EAGAIN);
}

TEST_P(Transfer, by_what_is_no_unix_socket) {
  Object object = create(mib);
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  EXPECT_EQ(morsel_send(object.get(), ends[1], MORSEL_READ, nullptr), -ENOTSOCK);
  EXPECT_EQ(receive_error(ends[0]), -ENOTSOCK);
  close(ends[0]);
  close(ends[1]);
  EXPECT_EQ(morsel_send(object.get(), -1, MORSEL_READ, nullptr), -EBADF);
  EXPECT_EQ(receive_error(-1), -EBADF);
  int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (tcp < 0) return;
  EXPECT_EQ(morsel_send(object.get(), tcp, MORSEL_READ, nullptr), -EINVAL);
  EXPECT_EQ(receive_error(tcp), -EINVAL);
  close(tcp);
}

// He has what he was given, though the file's mode forbids him to open it.
TEST_P(Transfer, to_another_user) {
  if (geteuid() != 0) GTEST_SKIP() << "not root";
  Sockets sockets;
  Object object = create(odd);
  fill(map(object, MORSEL_READ_WRITE), 1);
  Child child([&] {
    if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) return false;
    Object received = receive(sockets.end[1]);
    morsel_mapping* none = nullptr;
    bool right = morsel_map(received.get(), MORSEL_READ_WRITE, &none, nullptr) == -EACCES &&
                 morsel_in_use(received.get(), nullptr) == -EACCES;
    Map mapping = map(received, MORSEL_READ);
    send(received, sockets.end[1], MORSEL_READ);  // he may pass it on
    return right && has(mapping, 1);
  });
  send(object, sockets.end[0], MORSEL_READ);
  EXPECT_TRUE(child.ended_well());
  EXPECT_TRUE(has(map(receive(sockets.end[0]), MORSEL_READ), 1));
  EXPECT_EQ(morsel_in_use(object.get(), nullptr), 0);
}

// The sender of an object that is not sealed can cut it. That is said, and no surprise.
TEST_P(Transfer, cut_by_the_sender) {
  Sockets sockets;
  Object object = create(8 * mib);
  send(object, sockets.end[0], MORSEL_READ);
  Object received = receive(sockets.end[1]);
  EXPECT_EQ(morsel_is_sealed(received.get()), 0);
  Map mapping = map(received, MORSEL_READ);
  ASSERT_EQ(morsel_resize(object.get(), 2 * mib, nullptr), 0);
  EXPECT_EQ(morsel_bytes(received.get()), 2 * mib);
  EXPECT_TRUE(gives_sigbus(at(mapping, 6 * mib)));
  EXPECT_TRUE(is_zero(map(received, MORSEL_READ)));
}

// Cut on its way: what comes is not what was promised.
TEST_P(Transfer, cut_on_the_way) {
  Sockets sockets;
  Object object = create(8 * mib);
  send(object, sockets.end[0], MORSEL_READ);
  ASSERT_EQ(morsel_resize(object.get(), 2 * mib, nullptr), 0);
  EXPECT_EQ(receive_error(sockets.end[1]), -EBADMSG);
}
