// SPDX-License-Identifier: MIT
#include "packet.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace morsel {

namespace {

constexpr size_t most_descriptors = 253;  // the kernel's limit per message

}  // namespace

Status send_packet(int socket, const std::string& text, int fd) {
  if (text.size() > longest_packet)
    return Error{-EMSGSIZE, "a packet of " + std::to_string(text.size()) + " bytes is too long"};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
  iovec data{const_cast<char*>(text.data()), text.size()};
  msghdr head{};
  head.msg_iov = &data;
  head.msg_iovlen = 1;
  if (fd >= 0) {
    head.msg_control = control.data();
    head.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&head);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  while (sendmsg(socket, &head, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return system_error("sending a packet");
  return Done{};
}

Result<Packet> receive_packet(int socket) {
  // Room for all that can come: what has no room is lost, but says so.
  std::vector<char> buffer(longest_packet);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))> control;
  iovec data{buffer.data(), buffer.size()};
  msghdr head{};
  head.msg_iov = &data;
  head.msg_iovlen = 1;
  head.msg_control = control.data();
  head.msg_controllen = control.size();
  ssize_t got;
  do got = recvmsg(socket, &head, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0) return system_error("receiving a packet");

  std::vector<Descriptor> descriptors;
  for (cmsghdr* part = CMSG_FIRSTHDR(&head); part; part = CMSG_NXTHDR(&head, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; at + sizeof(int) <= part->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int fd;
      memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
      descriptors.emplace_back(fd);
    }
  }
  if (got == 0) return system_error("the connection was closed", EPIPE);
  if ((head.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return Error{-EBADMSG, "a packet is too long"};
  if (descriptors.size() > 1) return Error{-EBADMSG, "a packet has more than one descriptor"};
  Packet packet{{buffer.data(), static_cast<size_t>(got)}, {}};
  if (!descriptors.empty()) packet.fd = std::move(descriptors.front());
  return packet;
}

}  // namespace morsel
