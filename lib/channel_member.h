// SPDX-License-Identifier: MIT
// Who takes part in a channel. A member's number is the byte of the memfd that it has a lock on, by
// an open file description of its own: the kernel takes that away when the process ends.
#pragma once

#include <array>
#include <cstdint>

#include "channel_control.h"
#include "result.h"

namespace morsel::channel {

/// morsel_roles, by queue.
using Roles = std::array<uint32_t, most_queues>;

/// A number for who has this description of the memfd. -EUSERS: there are 64 already.
Result<uint32_t> become_member(Control& control, int memory, const Roles& roles);
/// With the lock held. False: nobody has gone.
bool forget_the_dead(Control& control, int memory, uint32_t me);
/// With the lock held: there were members with that role, and now there is none.
bool are_gone(const Queue& queue, uint32_t role);
/// With the lock held: so it is for all queues that ever had any.
bool are_gone_everywhere(const Control& control, uint32_t role);

}  // namespace morsel::channel
