// SPDX-License-Identifier: MIT
//
// What a hostile sender can send.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <random>
#include <vector>

#include "fixture.h"

using namespace conformance;

CONFORMANCE_SUITE(Garbage);

namespace {

// As in lib/transfer.cc; the format may not change without a new version.
struct Header {
  uint32_t magic = 0x6c73726d;
  uint16_t version = 1;
  uint16_t backend;
  uint64_t bytes;
};

void send_raw(int socket, const void* data, size_t length, const std::vector<int>& fds) {
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)) + 1);
  iovec part{const_cast<void*>(data), length};
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  if (!fds.empty()) {
    head.msg_control = control.data();
    head.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&head);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
  }
  ASSERT_EQ(sendmsg(socket, &head, MSG_NOSIGNAL), ssize_t(length)) << strerror(errno);
}

int try_receive(int socket) {
  morsel_object* object = nullptr;
  morsel_error error;
  int result = morsel_receive(socket, &object, &error);
  EXPECT_EQ(error.code, result);
  EXPECT_EQ(object != nullptr, result == 0);
  if (object) {
    // What is taken for a morsel can be used as one.
    morsel_mapping* mapping = nullptr;
    EXPECT_EQ(morsel_map(object, MORSEL_READ, &mapping, &error), 0) << error.text;
    morsel_unmap(mapping);
  }
  morsel_close(object);
  return result;
}

}  // namespace

TEST_P(Garbage, one_thing_wrong) {
  Object object = create(4 * mib);
  int fd = morsel_fd(object.get());
  Header good;
  good.backend = uint16_t(GetParam());
  good.bytes = 4 * mib;
  auto with = [&](auto change) {
    Header header = good;
    change(header);
    return header;
  };
  struct Case {
    const char* what;
    Header header;
    std::vector<int> fds;
    int expected;
  };
  int folder = open("/", O_RDONLY | O_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
  int pipe_ends[2];
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  std::vector<Case> cases = {
      {"nothing", good, {fd}, 0},
      {"the magic number", with([](auto& h) { h.magic++; }), {fd}, -EBADMSG},
      {"the version", with([](auto& h) { h.version = 2; }), {fd}, -EBADMSG},
      {"the backend", with([](auto& h) { h.backend = h.backend % 3 + 1; }), {fd}, -EBADMSG},
      {"no backend", with([](auto& h) { h.backend = 99; }), {fd}, -EBADMSG},
      {"any backend", with([](auto& h) { h.backend = 0; }), {fd}, -EBADMSG},
      {"the size", with([](auto& h) { h.bytes++; }), {fd}, -EBADMSG},
      {"a huge size", with([](auto& h) { h.bytes = UINT64_MAX; }), {fd}, -EBADMSG},
      {"a smaller size", with([](auto& h) { h.bytes = 1; }), {fd}, 0},  // it grew meanwhile
      {"no descriptor", good, {}, -EBADMSG},
      {"two descriptors", good, {fd, fd}, -EBADMSG},
      {"253 descriptors", good, std::vector<int>(253, fd), -EBADMSG},
      {"a folder", good, {folder}, -EBADMSG},
      {"a device", good, {null}, -EBADMSG},
      {"a pipe", good, {pipe_ends[0]}, -EBADMSG},
  };
  for (int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    Sockets sockets(type);
    for (const Case& each : cases) {
      send_raw(sockets.end[0], &each.header, sizeof each.header, each.fds);
      EXPECT_EQ(try_receive(sockets.end[1]), each.expected) << each.what;
    }
    // After all that the socket is still in step.
    send(object, sockets.end[0], MORSEL_READ);
    EXPECT_EQ(try_receive(sockets.end[1]), 0);
  }
  for (int each : {folder, null, pipe_ends[0], pipe_ends[1]}) close(each);
}

TEST_P(Garbage, the_wrong_length) {
  Object object = create(4 * mib);
  std::vector<char> data(70000, 0);
  Header good;
  good.backend = uint16_t(GetParam());
  good.bytes = 4 * mib;
  memcpy(data.data(), &good, sizeof good);
  Sockets sockets;
  for (size_t length : {size_t(1), sizeof good - 1, sizeof good + 1, size_t(4096), data.size()}) {
    send_raw(sockets.end[0], data.data(), length, {morsel_fd(object.get())});
    EXPECT_EQ(try_receive(sockets.end[1]), -EBADMSG) << length;
  }
  send_raw(sockets.end[0], data.data(), 0, {morsel_fd(object.get())});
  EXPECT_EQ(try_receive(sockets.end[1]), -EBADMSG);
}

TEST_P(Garbage, credentials_do_not_disturb) {
  Object object = create(4 * mib);
  for (int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    Sockets sockets(type);
    int on = 1;
    setsockopt(sockets.end[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    setsockopt(sockets.end[1], SOL_SOCKET, 76, &on, sizeof on);  // SO_PASSPIDFD, if there is that
    send(object, sockets.end[0], MORSEL_READ);
    EXPECT_EQ(try_receive(sockets.end[1]), 0);
  }
}

// A descriptor for which the receiver has no room gets lost.
TEST_P(Garbage, without_room_for_descriptors) {
  Object object = create(4 * mib);
  Child child([&] {
    Sockets sockets;
    send(object, sockets.end[0], MORSEL_READ);
    while (open("/dev/null", O_RDONLY) < 100) {
    }
    rlimit limit{100, 100};
    setrlimit(RLIMIT_NOFILE, &limit);
    return try_receive(sockets.end[1]) == -EBADMSG;
  });
  EXPECT_TRUE(child.ended_well());
}

TEST_P(Garbage, at_random) {
  Object object = create(4 * mib);
  const char* chosen = getenv("MORSELS_TEST_SEED");
  unsigned seed = chosen ? unsigned(atoi(chosen)) : std::random_device{}();
  SCOPED_TRACE("MORSELS_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  auto below = [&](unsigned limit) { return random() % limit; };
  std::vector<int> files = {morsel_fd(object.get()),
                            open("/", O_RDONLY | O_CLOEXEC),
                            open("/dev/zero", O_RDWR | O_CLOEXEC),
                            memfd_create("empty", MFD_CLOEXEC),
                            make_source(1, 12345),
                            socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  Rounds rounds(3000);
  for (int round = 0; rounds.next(); round++) {
    Sockets sockets(below(2) ? SOCK_STREAM : SOCK_SEQPACKET);
    fcntl(sockets.end[1], F_SETFL, O_NONBLOCK);
    for (unsigned messages = 1 + below(3); messages > 0; messages--) {
      Header header;
      header.backend = uint16_t(1 + below(3));
      header.bytes = below(5 * mib);
      std::vector<char> data(sizeof header + below(40));
      for (char& byte : data) byte = char(below(256));
      if (below(4)) memcpy(data.data(), &header, sizeof header);
      if (!below(3)) data[below(unsigned(data.size()))] ^= char(1U << below(8));
      if (below(2)) data.resize(below(3) ? sizeof header : 1 + below(unsigned(data.size())));
      std::vector<int> fds(below(8) ? below(3) : below(200));
      for (int& fd : fds) fd = files[below(unsigned(files.size()))];
      send_raw(sockets.end[0], data.data(), data.size(), fds);
    }
    if (below(2)) sockets.close_one(0);
    for (int tries = 0; tries < 20; tries++) {
      int result = try_receive(sockets.end[1]);
      if (result == -EAGAIN || result == -EPIPE) break;
      ASSERT_TRUE(result == 0 || result == -EBADMSG) << result << " in round " << round;
    }
    ASSERT_FALSE(HasFailure());
  }
  for (size_t i = 1; i < files.size(); i++) close(files[i]);
}
