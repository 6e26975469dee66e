// SPDX-License-Identifier: MIT
#include "channel_member.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

namespace morsel::channel {

namespace {

struct flock byte(uint32_t number, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = number;
  lock.l_len = 1;
  return lock;
}

bool is_alive(int memory, uint32_t number) {
  struct flock lock = byte(number, F_WRLCK);
  return fcntl(memory, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

}  // namespace

Result<uint32_t> become_member(Control& control, int memory, const Roles& roles) {
  for (uint32_t number = 0; number < most_members; number++) {
    struct flock lock = byte(number, F_WRLCK);
    if (fcntl(memory, F_OFD_SETLK, &lock) != 0) {
      if (errno == EAGAIN || errno == EACCES) continue;
      return system_error("a channel's member's lock");
    }
    const Lock held(control);
    if (!held) return Error{-ENOTRECOVERABLE, "the channel's memory is broken"};
    // Of that number may have been somebody who died.
    if (control.present[number]) forget(control, number);
    control.present[number] = 1;
    control.ever_joined++;
    for (uint32_t queue = 0; queue < control.queues; queue++) {
      control.queue[queue].roles[number] = roles[queue];
      control.queue[queue].past_roles |= roles[queue];
    }
    return number;
  }
  return Error{-EUSERS, "the channel has " + std::to_string(most_members) + " members already"};
}

bool forget_the_dead(Control& control, int memory, uint32_t me) {
  bool any = false;
  for (uint32_t number = 0; number < most_members; number++) {
    if (number == me || !control.present[number] || is_alive(memory, number)) continue;
    forget(control, number);
    any = true;
  }
  return any;
}

bool are_gone(const Queue& queue, uint32_t role) {
  if (!(queue.past_roles & role)) return false;
  return std::none_of(std::begin(queue.roles), std::end(queue.roles),
                      [&](const auto& roles) { return roles & role; });
}

bool are_gone_everywhere(const Control& control, uint32_t role) {
  bool any = false;
  for (uint32_t number = 0; number < control.queues; number++) {
    const Queue& queue = control.queue[number];
    if (!(queue.past_roles & role)) continue;
    if (!are_gone(queue, role)) return false;
    any = true;
  }
  return any;
}

}  // namespace morsel::channel
