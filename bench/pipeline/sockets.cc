// SPDX-License-Identifier: MIT
#include "sockets.h"

#include <sys/socket.h>

#include <cstring>
#include <stdexcept>

#include "system.h"

namespace morsel::bench {
namespace {

struct Message {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr head{};

  explicit Message(bool with_descriptor) {
    head.msg_iov = &data;
    head.msg_iovlen = 1;
    if (!with_descriptor) return;
    head.msg_control = control.data();
    head.msg_controllen = control.size();
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
};

}  // namespace

Sockets::Sockets(int type) {
  for (auto& pair : ends_)
    checked(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair.data()), "socketpair");
}

Sockets::~Sockets() {
  for (const auto& pair : ends_)
    for (const int end : pair) ::close(end);
}

void Sockets::send(int fd) const {
  Message message(fd >= 0);
  if (fd >= 0) {
    cmsghdr* part = CMSG_FIRSTHDR(&message.head);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
  }
  checked(::sendmsg(next(), &message.head, MSG_NOSIGNAL), "sendmsg");
}

int Sockets::receive() const {
  Message message(true);
  if (checked(::recvmsg(previous(), &message.head, MSG_CMSG_CLOEXEC), "recvmsg") != 1)
    throw std::runtime_error("the stage before has ended");
  const cmsghdr* part = CMSG_FIRSTHDR(&message.head);
  int fd = -1;
  if (part && part->cmsg_type == SCM_RIGHTS) std::memcpy(&fd, CMSG_DATA(part), sizeof fd);
  return fd;
}

}  // namespace morsel::bench
