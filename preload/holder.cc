// SPDX-License-Identifier: MIT
#include "holder.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "syscall.h"

namespace morsel::preload {
namespace {

/// A holder that hangs must not hang the program.
constexpr timeval patience{1, 0};

bool connect_to(int fd, std::string_view store) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  Text<sizeof address.sun_path> path;
  path << store << "/socket";
  if (!path.fits()) return false;
  std::memcpy(address.sun_path, path.c_str(), path.view().size());
  call(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  call(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return call(SYS_connect, fd, &address, sizeof address) == 0;
}

bool ask(int fd, std::string_view name) {
  Text<256> request;  // names have no character that JSON would want escaped
  request << R"({"op":"open","name":")" << name << R"(","write":false})";
  const auto size = static_cast<long>(request.view().size());
  return request.fits() && call(SYS_sendto, fd, request.c_str(), size, MSG_NOSIGNAL) == size;
}

/// What the reply says is not read: one without a descriptor is a refusal.
long take_descriptor(int fd) {
  char text[512];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec part{text, sizeof text};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_LEN(sizeof(int));  // room for one descriptor and no more
  if (call(SYS_recvmsg, fd, &message, MSG_CMSG_CLOEXEC) < 0) return -EACCES;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
    return -EACCES;
  int received = -1;
  std::memcpy(&received, CMSG_DATA(header), sizeof received);
  // A mapping of a descriptor with other rights would share no page tables.
  if ((call(SYS_fcntl, received, F_GETFL) & O_ACCMODE) == O_RDONLY) return received;
  call(SYS_close, received);
  return -EACCES;
}

}  // namespace

long open_at_holder(std::string_view store, std::string_view name) {
  const long fd = call(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return -EACCES;
  const auto socket = static_cast<int>(fd);
  const long object =
      connect_to(socket, store) && ask(socket, name) ? take_descriptor(socket) : -EACCES;
  call(SYS_close, socket);
  return object;
}

}  // namespace morsel::preload
