// SPDX-License-Identifier: MIT
// The holder's protocol, lowest layer: packets of text with at most one descriptor.
#pragma once

#include <string>

#include "descriptor.h"
#include "result.h"

namespace morsel {

constexpr size_t longest_packet = 64 << 10;

struct Packet {
  std::string text;
  Descriptor fd;  /// closed by whoever does not take it; may be none
};

/// -EAGAIN: the socket is non-blocking and full; -EPIPE, -ECONNRESET: the other end is gone;
/// -EMSGSIZE.
Status send_packet(int socket, const std::string& text, int fd = -1);

/// -EPIPE, -ECONNRESET: the other end is gone; -EAGAIN; -EBADMSG: it was too long or had too many
/// descriptors (all closed).
Result<Packet> receive_packet(int socket);

}  // namespace morsel
