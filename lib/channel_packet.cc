// SPDX-License-Identifier: MIT
// A packet's life: made, sent, received, given up.
#include <cerrno>
#include <cstring>

#include "channel.h"
#include "channel_event.h"
#include "channel_member.h"
#include "error.h"

using namespace morsel;
using namespace morsel::channel;

namespace {

// Tries until it works, the time is over, or nobody is left who could make it work. With the lock
// held, `attempt` returns whether it worked, and `is_hopeless` whether there is nobody.
template <typename Attempt, typename Hopeless>
Status wait_for(morsel_channel& channel, Event& event, int timeout, const char* nobody_left,
                Attempt attempt, Hopeless is_hopeless) {
  if (channel.me == no_member)
    return Error{-EBADF,
                 "this process is no member of the channel: it was forked, and could not join"};
  Control& control = channel.control();
  const Deadline deadline(timeout);
  for (;;) {
    const uint32_t seen = event.number;
    {
      const Held held(channel);
      if (!held) return Error{-ENOTRECOVERABLE, "the channel's memory is broken"};
      if (attempt(control)) return Done{};
      if (is_hopeless(control)) return Error{-EPIPE, nobody_left};
    }
    if (deadline.is_none()) {
      // Who never sleeps has to look, too.
      if (now() - channel.last_look > nap && look_for_the_dead(channel)) continue;
      return Error{-EAGAIN, "there is none now"};
    }
    if (deadline.is_now()) return Error{-ETIMEDOUT, "nothing came in time"};
    if (!sleep(event, seen, deadline)) look_for_the_dead(channel);
  }
}

Status check_role(const morsel_channel& channel, uint32_t queue, uint32_t role) {
  if (!channel.has(queue)) return no_such_queue(queue);
  if (channel.me != no_member && channel.control().queue[queue].roles[channel.me] & role)
    return Done{};
  return Error{-EACCES, "this process is no " +
                            std::string(role == MORSEL_SENDER ? "sender" : "receiver") +
                            " of the channel's queue " + std::to_string(queue)};
}

bool is_owned(const morsel_channel& channel, const morsel_packet& packet) {
  const Control& control = channel.control();
  if (channel.me == no_member || !packet.data || packet.buffer >= control.buffer_count())
    return false;
  // A copy of the packet may be left of an earlier turn, or in a child.
  const Buffer& buffer = control.buffers[packet.buffer];
  return buffer.owner == channel.me + first_member && buffer.turn == packet.turn;
}

Error not_owned() { return {-EINVAL, "this process does not own that packet"}; }

void let_go(morsel_channel& channel, uint32_t buffer) {
  {
    const Held held(channel);
    if (held) give_back(channel.control(), buffer);
  }
  // All: one may wait for a cell and another one for an object.
  raise(channel.control().freed, true);
}

// Nothing of what was in it before may be seen, unless all have said that they don't mind.
Result<std::byte*> open_cell(morsel_channel& channel, uint32_t number, uint64_t bytes) {
  Control& control = channel.control();
  Buffer& buffer = control.buffers[number];
  std::byte* data = channel.shared.cell(number);
  if (!control.shows_old_data) memset(data, 0, std::min(buffer.dirty, control.cell_bytes));
  buffer.dirty = control.shows_old_data ? std::max(buffer.dirty, bytes) : bytes;
  return data;
}

// Who dies in between leaves a capacity of 0. Then nobody knows what the object has, and it starts
// from nothing.
Status resize(Buffer& buffer, PooledObject& object, uint64_t bytes) {
  const uint64_t before = buffer.capacity;
  buffer.capacity = 0;
  if (before == 0)
    if (auto nothing = object.resize(0); !nothing) return nothing.error();
  auto size = object.resize(bytes);
  buffer.capacity = size ? *size : before;
  if (!size) return size.error();
  return Done{};
}

Result<std::byte*> open_object(morsel_channel& channel, uint32_t number, uint64_t bytes) {
  Control& control = channel.control();
  Buffer& buffer = control.buffers[number];
  PooledObject& object = channel.object(number);
  const uint64_t wanted = channel.backend->rounded(bytes);
  // One that has to be cleared is cut first: what is not there needs no clearing.
  const bool too_large = !control.shows_old_data && buffer.dirty > wanted;
  if (buffer.capacity < bytes || too_large) {
    if (Status status = resize(buffer, object, bytes); !status) return status.error();
    buffer.dirty = std::min(buffer.dirty, buffer.capacity);
  }
  auto data = object.address(buffer.capacity, MORSEL_READ_WRITE);
  if (!data) return data;
  if (!control.shows_old_data) memset(*data, 0, buffer.dirty);
  buffer.dirty = control.shows_old_data ? std::max(buffer.dirty, bytes) : bytes;
  return data;
}

Result<uint32_t> take_buffer(morsel_channel& channel, uint64_t bytes, int timeout) {
  uint32_t buffer = no_buffer;
  const bool small = bytes <= channel.control().cell_bytes;
  Status status = wait_for(
      channel, channel.control().freed, timeout, "all receivers are gone",
      [&](Control& control) {
        buffer = small ? take_cell(control, channel.me) : take_object(control, channel.me, bytes);
        return buffer != no_buffer;
      },
      [](const Control& control) { return are_gone_everywhere(control, MORSEL_RECEIVER); });
  if (!status) return status.error();
  return buffer;
}

Status make_packet(morsel_channel& channel, uint64_t bytes, int timeout, morsel_packet& packet) {
  auto buffer = take_buffer(channel, bytes, timeout);
  if (!buffer) return buffer.error();
  const bool is_cell = channel.control().is_cell(*buffer);
  const uint64_t capacity = bytes ? bytes : channel.control().cell_bytes;
  auto data =
      is_cell ? open_cell(channel, *buffer, capacity) : open_object(channel, *buffer, capacity);
  if (!data) {
    let_go(channel, *buffer);
    return data.error();
  }
  packet = {
      *data, bytes, capacity, *buffer, MORSEL_READ_WRITE, channel.control().buffers[*buffer].turn,
      {}};
  return Done{};
}

Status move_to_object(morsel_channel& channel, morsel_packet& packet, uint64_t bytes) {
  morsel_packet larger;
  // Waiting for an object with a buffer in hand could wait for ever.
  if (Status status = make_packet(channel, bytes, 0, larger); !status) {
    if (status.error().code == -EAGAIN)
      return Error{-ENOBUFS, "all " + std::to_string(channel.control().objects) +
                                 " large packets of the channel are in use"};
    return status;
  }
  memcpy(larger.data, packet.data, packet.capacity);
  larger.bytes = packet.bytes;
  let_go(channel, packet.buffer);
  packet = larger;
  return Done{};
}

Status grow(morsel_channel& channel, morsel_packet& packet, uint64_t bytes) {
  Buffer& buffer = channel.control().buffers[packet.buffer];
  PooledObject& object = channel.object(packet.buffer);
  if (buffer.capacity < bytes)
    if (Status status = resize(buffer, object, bytes); !status) return status;
  auto data = object.address(buffer.capacity, MORSEL_READ_WRITE);
  if (!data) return data.error();
  packet.data = *data;
  packet.capacity = bytes;
  buffer.dirty = std::max(buffer.dirty, bytes);
  return Done{};
}

}  // namespace

int morsel_packet_new(morsel_channel* channel, uint64_t bytes, int timeout, morsel_packet* packet,
                      morsel_error* error) {
  return at_border(error, [&]() -> Status {
    if (bytes > INT64_MAX - pud_slot)
      return Error{-EINVAL, "no packet has " + std::to_string(bytes) + " bytes"};
    return make_packet(*channel, bytes, timeout, *packet);
  });
}

int morsel_packet_reserve(morsel_channel* channel, morsel_packet* packet, uint64_t bytes,
                          morsel_error* error) {
  return at_border(error, [&]() -> Status {
    if (!is_owned(*channel, *packet)) return not_owned();
    if (bytes > INT64_MAX - pud_slot)
      return Error{-EINVAL, "no packet has " + std::to_string(bytes) + " bytes"};
    if (packet->access == MORSEL_READ)
      return Error{-EACCES, "the packet was received for reading only"};
    if (bytes <= packet->capacity) return Done{};
    Control& control = channel->control();
    if (!control.is_cell(packet->buffer)) return grow(*channel, *packet, bytes);
    if (bytes > control.cell_bytes) return move_to_object(*channel, *packet, bytes);
    Buffer& buffer = control.buffers[packet->buffer];
    buffer.dirty = std::max(buffer.dirty, bytes);
    packet->capacity = bytes;
    return Done{};
  });
}

int morsel_packet_send(morsel_channel* channel, unsigned queue, morsel_packet* packet, int timeout,
                       morsel_error* error) {
  return at_border(error, [&]() -> Status {
    if (!is_owned(*channel, *packet)) return not_owned();
    if (Status status = check_role(*channel, queue, MORSEL_SENDER); !status) return status;
    if (packet->bytes > packet->capacity)
      return Error{-EMSGSIZE, "the packet has " + std::to_string(packet->bytes) +
                                  " bytes and room for " + std::to_string(packet->capacity)};
    Control& control = channel->control();
    const bool is_cell = control.is_cell(packet->buffer);
    control.buffers[packet->buffer].bytes = packet->bytes;
    Queue& to = control.queue[queue];
    Status status = wait_for(
        *channel, to.room, timeout, "all receivers are gone",
        [&](Control& now) {
          if (now.is_full(to) || are_gone(to, MORSEL_RECEIVER)) return false;
          // Before anybody else has it.
          if (!is_cell && morsel_channel_enforces(channel)) channel->object(packet->buffer).unmap();
          enqueue(now, to, packet->buffer);
          show_state(*channel, queue);
          return true;
        },
        [&](const Control&) { return are_gone(to, MORSEL_RECEIVER); });
    if (!status) return status;
    packet->data = nullptr;
    raise(to.filled);
    return Done{};
  });
}

int morsel_packet_receive(morsel_channel* channel, unsigned queue, morsel_access access,
                          int timeout, morsel_packet* packet, morsel_error* error) {
  return at_border(error, [&]() -> Status {
    if (access != MORSEL_READ && access != MORSEL_READ_WRITE)
      return Error{-EINVAL, "a packet is received with MORSEL_READ or MORSEL_READ_WRITE"};
    if (Status status = check_role(*channel, queue, MORSEL_RECEIVER); !status) return status;
    Control& control = channel->control();
    Queue& from = control.queue[queue];
    uint32_t number = no_buffer;
    Status status = wait_for(
        *channel, from.filled, timeout, "all senders are gone",
        [&](Control& now) {
          while (number == no_buffer && !from.is_empty()) number = dequeue(now, from, channel->me);
          if (number == no_buffer) return false;
          show_state(*channel, queue);
          return true;
        },
        [&](const Control&) { return are_gone(from, MORSEL_SENDER); });
    if (!status) return status;
    raise(from.room);
    const Buffer& buffer = control.buffers[number];
    const bool is_cell = control.is_cell(number);
    const uint64_t capacity = is_cell ? control.cell_bytes : buffer.capacity;
    const uint64_t bytes = std::min(buffer.bytes, capacity);
    auto data = is_cell ? Result<std::byte*>(channel->shared.cell(number))
                        : channel->object(number).address(capacity, access);
    if (!data) {
      // The packet is not lost: whoever tries again, here or elsewhere, gets it first.
      const Held held(*channel);
      if (held) put_back(control, from, number);
      show_state(*channel, queue);
      raise(from.filled);
      return data.error();
    }
    *packet = {*data, bytes, bytes, number, uint32_t(access), buffer.turn, {}};
    return Done{};
  });
}

void morsel_packet_release(morsel_channel* channel, morsel_packet* packet) {
  if (!is_owned(*channel, *packet)) return;
  let_go(*channel, packet->buffer);
  packet->data = nullptr;
}
