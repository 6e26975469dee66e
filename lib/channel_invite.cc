// SPDX-License-Identifier: MIT
// How a process comes to be a member: one message with a header and all descriptors.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "channel.h"
#include "error.h"
#include "object.h"
#include "reopen.h"

using namespace morsel;
using namespace morsel::channel;

namespace {

constexpr size_t most_descriptors = 1 + 2 * most_queues + most_objects;

struct Invitation {
  uint64_t magic;
  uint32_t version;
  uint32_t queues, objects;
  uint64_t bytes;
};

struct Message {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))> control{};
  Invitation invitation{};
  iovec data{&invitation, sizeof invitation};
  msghdr head{};

  Message() {
    head.msg_iov = &data;
    head.msg_iovlen = 1;
    head.msg_control = control.data();
    head.msg_controllen = control.size();
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
};

Error bad(const std::string& why) { return {-EBADMSG, "what came is no invitation: " + why}; }

Result<Parts> receive(int socket, Invitation& invitation) {
  Message message;
  ssize_t got;
  do got = recvmsg(socket, &message.head, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0 && errno != ECONNRESET) return system_error("receiving an invitation");
  std::vector<Descriptor> all;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message.head); part;
       part = CMSG_NXTHDR(&message.head, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
      int fd;
      memcpy(&fd, reinterpret_cast<char*>(part) + at, sizeof fd);
      all.emplace_back(fd);
    }
  }
  if (got <= 0 && all.empty()) return Error{-EPIPE, "the other end is closed"};
  invitation = message.invitation;
  if (size_t(got) != sizeof invitation || (message.head.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
    return bad("it has another length");
  if (invitation.magic != magic_number || invitation.version != layout_version)
    return bad("it is of another version");
  const uint64_t events = 2 * uint64_t(invitation.queues);
  if (invitation.objects > most_objects || all.size() != 1 + events + invitation.objects)
    return bad("it has " + std::to_string(all.size()) + " descriptors");
  Parts parts;
  parts.memory = std::move(all[0]);
  for (size_t i = 1; i < all.size(); i++)
    (i <= events ? parts.events : parts.objects).push_back(std::move(all[i]));
  return parts;
}

// Whatever the sender says: nobody can cut the memory under us only if it is of that size and
// sealed against that.
Result<Shared> look_at(const Parts& parts, const Invitation& invitation) {
  constexpr int size_is_fixed = F_SEAL_SHRINK | F_SEAL_GROW;
  const int seals = fcntl(parts.memory.get(), F_GET_SEALS);
  auto bytes = size_of(parts.memory.get());
  if (!bytes || seals < 0 || (seals & size_is_fixed) != size_is_fixed)
    return bad("its memory is no memfd of a fixed size");
  if (*bytes != invitation.bytes || *bytes < sizeof(Control))
    return bad("its memory has another size");
  auto shared = Shared::map(parts.memory.get(), *bytes);
  if (!shared) return shared;
  const Control& control = shared->control();
  if (!is_sound(control, *bytes) || control.objects != invitation.objects ||
      control.queues != invitation.queues)
    return bad("its memory is no channel");
  return shared;
}

// Others would be written to where nobody expects it.
bool is_eventfd(int fd) {
  std::array<char, 64> name{};
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return readlink(path.c_str(), name.data(), name.size() - 1) > 0 &&
         std::string(name.data()) == "anon_inode:[eventfd]";
}

Status look_at_descriptors(const Parts& parts, const Backend& backend) {
  for (const Descriptor& event : parts.events)
    if (!is_eventfd(event.get())) return bad("its events are none");
  for (const Descriptor& object : parts.objects) {
    struct statfs fs;
    if (fstatfs(object.get(), &fs) != 0 || !backend.recognises(object.get(), fs))
      return bad("its objects are not of the backend that it says");
  }
  return Done{};
}

}  // namespace

int morsel_channel_invite(morsel_channel* channel, int socket, morsel_error* error) {
  return at_border(error, [&]() -> Status {
    // One of its own for the new member: its lock goes when that ends, not when we do.
    auto memory = reopen(channel->memory.get(), MORSEL_READ_WRITE);
    if (!memory) return memory.error();
    std::vector<int> descriptors{memory->get()};
    for (const Descriptor& event : channel->events) descriptors.push_back(event.get());
    for (const PooledObject& object : channel->objects) descriptors.push_back(object.fd());
    Message message;
    message.invitation = {magic_number, layout_version, channel->control().queues,
                          uint32_t(channel->objects.size()), channel->control().total_bytes};
    message.head.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&message.head);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size() * sizeof(int));
    ssize_t sent;
    do sent = sendmsg(socket, &message.head, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent == ssize_t(sizeof(Invitation))) return Done{};
    return system_error("sending an invitation",
                        sent < 0 ? (errno == ECONNRESET ? EPIPE : errno) : EIO);
  });
}

int morsel_channel_join(int socket, morsel_role role, unsigned flags, morsel_channel** channel,
                        morsel_error* error) {
  return at_border(error, [&]() -> Status {
    if (role > MORSEL_BOTH) return Error{-EINVAL, "there is no role " + std::to_string(int(role))};
    if (flags & ~unsigned(MORSEL_OLD_DATA))
      return Error{-EINVAL, "a channel is joined with no other flag than MORSEL_OLD_DATA"};
    Invitation invitation{};
    auto parts = receive(socket, invitation);
    if (!parts) return parts.error();
    auto shared = look_at(*parts, invitation);
    if (!shared) return shared.error();
    const Backend* backend = find_backend(morsel_backend(shared->control().backend));
    if (!backend) return bad("its memory is no channel");
    if (Status status = look_at_descriptors(*parts, *backend); !status) return status;
    if (shared->control().shows_old_data && !(flags & MORSEL_OLD_DATA))
      return Error{-EPERM, "packets of this channel may hold old data: join with MORSEL_OLD_DATA"};
    auto joined = enter(std::move(*parts), std::move(*shared), *backend, role);
    if (!joined) return joined.error();
    *channel = joined->release();
    return Done{};
  });
}
