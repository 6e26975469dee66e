// SPDX-License-Identifier: MIT
// Objects over a Unix socket: a header and one descriptor, in one message. Of what comes in,
// nothing is believed.
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "error.h"
#include "object.h"
#include "reopen.h"

using namespace morsel;

namespace {

constexpr uint32_t magic = 0x6c73726d;  // "mrsl"
constexpr uint16_t version = 1;
constexpr size_t most_descriptors = 253;  // the kernel's limit per message

struct Header {
  uint32_t magic;
  uint16_t version;
  uint16_t backend;
  uint64_t bytes;
};
static_assert(sizeof(Header) == 16);

Status check_socket(int socket) {
  int domain = 0;
  socklen_t length = sizeof domain;
  if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0)
    return system_error("descriptor " + std::to_string(socket));
  if (domain != AF_UNIX) return Error{-EINVAL, "objects can be sent over Unix sockets only"};
  return Done{};
}

template <typename Call>
ssize_t uninterrupted(Call call) {
  ssize_t got;
  do got = call();
  while (got < 0 && errno == EINTR);
  return got;
}

// A message and what hangs on it.
struct Message {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(most_descriptors * sizeof(int)) + 512> control;
  Header header{};
  iovec data{&header, sizeof header};
  msghdr head{};

  explicit Message(size_t control_bytes) : control{} {
    head.msg_iov = &data;
    head.msg_iovlen = 1;
    head.msg_control = control.data();
    head.msg_controllen = control_bytes;
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
};

// A descriptor for the receiver alone, so that locks and the file position aren't shared.
Result<Descriptor> for_receiver(const morsel_object& object, morsel_access access) {
  if (access != MORSEL_READ) access = object.access;
  auto fresh = reopen(object.fd.get(), access);
  // The same one is right too, if it does not allow more.
  if (!fresh && access == object.access) return duplicate(object.fd.get());
  return fresh;
}

// All descriptors of the message, so that none is left open.
std::vector<Descriptor> take_descriptors(msghdr& head) {
  constexpr int pidfd = 4;  // SCM_PIDFD, which the C library doesn't know yet
  std::vector<Descriptor> taken;
  taken.reserve(most_descriptors + 1);
  for (cmsghdr* part = CMSG_FIRSTHDR(&head); part; part = CMSG_NXTHDR(&head, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    if (part->cmsg_type != SCM_RIGHTS && part->cmsg_type != pidfd) continue;
    for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
      int fd;
      memcpy(&fd, reinterpret_cast<char*>(part) + at, sizeof fd);
      Descriptor owned(fd);
      if (part->cmsg_type == SCM_RIGHTS) taken.push_back(std::move(owned));
    }
  }
  return taken;
}

Error bad(const std::string& why) { return {-EBADMSG, "what came is no morsel: " + why}; }

Result<Handle> receive(int socket) {
  if (Status status = check_socket(socket); !status) return status.error();
  Message message(sizeof message.control);
  ssize_t got = uninterrupted([&] { return recvmsg(socket, &message.head, MSG_CMSG_CLOEXEC); });
  if (got < 0 && errno == ECONNRESET) return Error{-EPIPE, "the other end is closed"};
  if (got < 0) return system_error("receiving an object");
  std::vector<Descriptor> descriptors = take_descriptors(message.head);
  const Header& header = message.header;

  if (got == 0 && descriptors.empty()) return Error{-EPIPE, "the other end is closed"};
  // A sender's header is one message, also on a stream, and comes as a whole.
  if (size_t(got) < sizeof header || (message.head.msg_flags & MSG_TRUNC))
    return bad("it has not the length of a header");
  if (header.magic != magic) return bad("it does not begin with the magic number");
  if (header.version != version)
    return bad("it has version " + std::to_string(header.version) + ", and this library has 1");
  if (message.head.msg_flags & MSG_CTRUNC) return bad("some of its descriptors got lost");
  if (descriptors.size() != 1)
    return bad(std::to_string(descriptors.size()) + " descriptors instead of one");

  auto object = adopt(std::move(descriptors.front()));
  if (!object) return bad(object.error().text);
  if ((*object)->backend->id != morsel_backend(header.backend))
    return bad("its backend is another one than it says");
  auto bytes = size_of((*object)->fd.get());
  if (!bytes) return bytes.error();
  if (*bytes < header.bytes)
    return bad("it has " + std::to_string(*bytes) + " bytes and says " +
               std::to_string(header.bytes));
  return object;
}

}  // namespace

int morsel_send(const morsel_object* object, int socket, morsel_access access,
                morsel_error* error) {
  return at_border(error, [&]() -> Status {
    if (access != MORSEL_READ && access != MORSEL_READ_WRITE)
      return Error{-EINVAL, "an object is sent with MORSEL_READ or MORSEL_READ_WRITE"};
    if (Status status = check_socket(socket); !status) return status;
    auto bytes = size_of(object->fd.get());
    if (!bytes) return bytes.error();
    auto fd = for_receiver(*object, access);
    if (!fd) return fd.error();

    Message message(CMSG_SPACE(sizeof(int)));
    message.header = {magic, version, uint16_t(object->backend->id), *bytes};
    cmsghdr* part = CMSG_FIRSTHDR(&message.head);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    int number = fd->get();
    memcpy(CMSG_DATA(part), &number, sizeof number);

    // So few bytes go as a whole or not at all.
    ssize_t sent = uninterrupted([&] { return sendmsg(socket, &message.head, MSG_NOSIGNAL); });
    if (sent == ssize_t(sizeof(Header))) return Done{};
    if (sent < 0 && errno == ECONNRESET) errno = EPIPE;
    return sent < 0 ? system_error("sending an object") : system_error("sending an object", EIO);
  });
}

int morsel_receive(int socket, morsel_object** object, morsel_error* error) {
  return at_border(error, [&]() -> Status {
    auto received = receive(socket);
    if (!received) return received.error();
    *object = received->release();
    return Done{};
  });
}
