// SPDX-License-Identifier: MIT
// Channels: made, left, and what fork() does to them.
#include "channel.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "channel_event.h"
#include "channel_member.h"
#include "error.h"
#include "memfd.h"
#include "object.h"
#include "reopen.h"

using namespace morsel;
using namespace morsel::channel;

namespace morsel::channel {

namespace {

// All channels of this process, for fork().
std::mutex list_lock;
std::vector<morsel_channel*> list;

// After a member came or went.
void show_and_wake(morsel_channel& channel) {
  {
    const Held held(channel);
    if (held) show_all(channel);
  }
  wake_all(channel);
}

// A child would have its parent's open file description, and with it the lock that says that the
// parent is alive: it must have one of its own. It is a member before it exists, so that nobody
// takes its parent, which may be about to change its role, for the only one.
void prepare_child(morsel_channel& channel) {
  channel.childs_number = no_member;
  if (channel.me == no_member) return;
  auto own = reopen(channel.memory.get(), MORSEL_READ_WRITE);
  if (!own) return;
  Roles roles{};
  for (uint32_t queue = 0; queue < channel.control().queues; queue++)
    roles[queue] = channel.control().queue[queue].roles[channel.me];
  auto number = become_member(channel.control(), own->get(), roles);
  if (!number) return;
  channel.childs_memory = std::move(*own);
  channel.childs_number = *number;
  show_and_wake(channel);
}

// If there is no child after all, this was the last descriptor, and the member looks dead.
void leave_child_alone(morsel_channel& channel) { channel.childs_memory = Descriptor(); }

void become_child(morsel_channel& channel) {
  channel.memory = std::move(channel.childs_memory);
  channel.childs_memory = Descriptor();
  channel.me = channel.childs_number;
}

template <void (*act)(morsel_channel&)>
void for_all() {
  for (morsel_channel* channel : list) act(*channel);
}

void watch_forks() {
  static std::once_flag once;
  std::call_once(once, [] {
    pthread_atfork(
        [] {
          list_lock.lock();
          for_all<prepare_child>();
        },
        [] {
          for_all<leave_child_alone>();
          list_lock.unlock();
        },
        [] {
          for_all<become_child>();
          list_lock.unlock();
        });
  });
}

Result<morsel_channel_options> read_options(const morsel_channel_options* given) {
  morsel_channel_options all{};
  if (given) {
    const size_t size = given->struct_size;
    if (size < offsetof(morsel_channel_options, directory) || size > largest_structure)
      return Error{-EINVAL, "morsel_channel_options.struct_size is not set"};
    const auto* bytes = reinterpret_cast<const unsigned char*>(given);
    if (size > sizeof all &&
        std::any_of(bytes + sizeof all, bytes + size, [](auto b) { return b; }))
      return Error{-E2BIG, "morsel_channel_options has a field that this library is too old for"};
    memcpy(&all, given, std::min(size, sizeof all));
  }
  if (all.waiting == 0) all.waiting = 64;
  if (all.objects == 0) all.objects = 16;
  if (all.cell_bytes == 0) all.cell_bytes = 64 << 10;
  if (all.queues == 0) all.queues = 1;
  if (all.waiting > most_waiting || all.objects > most_objects || all.cell_bytes > (1 << 20) ||
      all.queues > most_queues)
    return Error{-EINVAL,
                 "a channel has at most 8 queues of 1024 packets, 64 objects, cells of 1 MiB"};
  if (all.flags & ~unsigned(MORSEL_OLD_DATA))
    return Error{-EINVAL, "a channel has no other flag than MORSEL_OLD_DATA"};
  if (all.backend != MORSEL_ANY && !find_backend(all.backend))
    return Error{-EINVAL, "there is no backend " + std::to_string(int(all.backend))};
  return all;
}

// The best that gives us one small object now. That there is room for large ones nobody can say.
// `reasons`: why not a better one.
Result<const Backend*> choose_backend(const morsel_channel_options& options, std::string& reasons) {
  const std::string directory = options.directory ? options.directory : "";
  for (const Backend* backend : backends()) {
    if (options.backend != MORSEL_ANY && options.backend != backend->id) continue;
    Status status = backend->probe(pmd_slot, directory);
    if (status) return backend;
    reasons +=
        (reasons.empty() ? "" : "; ") + std::string(backend->name) + ": " + status.error().text;
  }
  return Error{-EOPNOTSUPP, reasons};
}

Result<Parts> make_parts(const morsel_channel_options& options, const Backend& backend,
                         uint64_t bytes) {
  Parts parts;
  auto memory = make_memfd(0);
  if (!memory) return memory.error();
  if (Status status = memfd_backend.resize(memory->get(), 0, bytes); !status) return status.error();
  // Who joins relies on it.
  if (fcntl(memory->get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
    return system_error("sealing a channel's size");
  parts.memory = std::move(*memory);
  for (unsigned i = 0; i < 2 * options.queues; i++) {
    parts.events.emplace_back(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!parts.events.back()) return system_error("eventfd");
  }
  for (unsigned i = 0; i < options.objects; i++) {
    auto object = backend.create(0, options.directory ? options.directory : "");
    if (!object) return object.error();
    parts.objects.push_back(std::move(*object));
  }
  return parts;
}

Result<std::unique_ptr<morsel_channel>> create(const morsel_channel_options& options) {
  std::string reasons;
  auto backend = choose_backend(options, reasons);
  if (!backend) return backend.error();
  const uint64_t cell_bytes = round_up(options.cell_bytes, 64);
  const uint32_t cells = options.waiting + 2 * most_members;
  const uint64_t cells_at = round_up(sizeof(Control), 4096);
  const uint64_t bytes = round_up(cells_at + cells * cell_bytes, 4096);
  auto parts = make_parts(options, **backend, bytes);
  if (!parts) return parts.error();
  auto shared = Shared::map(parts->memory.get(), bytes);
  if (!shared) return shared.error();
  Control& control = *new (&shared->control()) Control;
  control.waiting_most = options.waiting;
  control.cells = cells;
  control.objects = options.objects;
  control.queues = options.queues;
  control.cell_bytes = cell_bytes;
  control.cells_at = cells_at;
  control.total_bytes = bytes;
  control.backend = (*backend)->id;
  control.shows_old_data = options.flags & MORSEL_OLD_DATA;
  prepare(control);
  auto channel = enter(std::move(*parts), std::move(*shared), **backend, MORSEL_BOTH);
  if (channel) (*channel)->fallback = reasons;
  return channel;
}

}  // namespace

Error no_such_queue(unsigned queue) {
  return {-EINVAL, "the channel has no queue " + std::to_string(queue)};
}

Result<Shared> Shared::map(int memory, uint64_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (at == MAP_FAILED) return system_error("mapping a channel's memory");
  return Shared(at, bytes);
}

Shared::~Shared() {
  if (at_) munmap(at_, bytes_);
}

// Nobody may fork while a description has a member's lock, and the channel is not yet, or no
// longer, in the list: the child would keep the lock, and a dead member would look alive.
Result<std::unique_ptr<morsel_channel>> enter(Parts parts, Shared shared, const Backend& backend,
                                              uint32_t role) {
  Roles roles;
  roles.fill(role);
  auto channel = std::make_unique<morsel_channel>();
  channel->backend = &backend;
  for (Descriptor& object : parts.objects)
    channel->objects.emplace_back(std::move(object), *channel->backend);
  channel->memory = std::move(parts.memory);
  channel->events = std::move(parts.events);
  channel->shared = std::move(shared);
  channel->me = no_member;
  watch_forks();
  const std::lock_guard held(list_lock);
  list.reserve(list.size() + 1);
  // Another user's may not be opened anew.
  if (auto own = reopen(channel->memory.get(), MORSEL_READ_WRITE); own)
    channel->memory = std::move(*own);
  auto me = become_member(channel->control(), channel->memory.get(), roles);
  if (!me) return me.error();
  channel->me = *me;
  list.push_back(channel.get());
  show_and_wake(*channel);
  return channel;
}

Held::Held(morsel_channel& channel) : Lock(channel.control()) {
  if (!*this || !channel.control().events_unsure) return;
  show_all(channel);
  channel.control().events_unsure = 0;
}

void show_state(morsel_channel& channel, uint32_t number) {
  Control& control = channel.control();
  Queue& queue = control.queue[number];
  if (queue.filled.polled)
    show(queue.filled, channel.filled(number), !queue.is_empty() || are_gone(queue, MORSEL_SENDER));
  if (queue.room.polled)
    show(queue.room, channel.room(number),
         !control.is_full(queue) || are_gone(queue, MORSEL_RECEIVER));
}

void show_all(morsel_channel& channel) {
  for (uint32_t queue = 0; queue < channel.control().queues; queue++) show_state(channel, queue);
}

bool look_for_the_dead(morsel_channel& channel) {
  channel.last_look = now();
  {
    const Held held(channel);
    if (!held || !forget_the_dead(channel.control(), channel.memory.get(), channel.me))
      return false;
    show_all(channel);
  }
  wake_all(channel);
  return true;
}

void wake_all(morsel_channel& channel) {
  Control& control = channel.control();
  raise(control.freed, true);
  for (uint32_t number = 0; number < control.queues; number++) {
    raise(control.queue[number].filled, true);
    raise(control.queue[number].room, true);
  }
}

}  // namespace morsel::channel

morsel_channel::~morsel_channel() {
  const std::lock_guard nobody_forks(list_lock);
  if (std::erase(list, this) == 0 || me == no_member) return;
  {
    const Held held(*this);
    if (held) {
      forget(control(), me);
      show_all(*this);
    }
  }
  memory = Descriptor();
  wake_all(*this);
}

int morsel_channel_create(const morsel_channel_options* options, morsel_channel** channel,
                          morsel_error* error) {
  return at_border(error, [&]() -> Status {
    auto wanted = read_options(options);
    if (!wanted) return wanted.error();
    auto made = create(*wanted);
    if (!made) return made.error();
    *channel = made->release();
    return Done{};
  });
}

int morsel_channel_set_role(morsel_channel* channel, unsigned queue, morsel_role role,
                            morsel_error* error) {
  return at_border(error, [&]() -> Status {
    if (role > MORSEL_BOTH) return Error{-EINVAL, "there is no role " + std::to_string(int(role))};
    if (!channel->has(queue)) return no_such_queue(queue);
    if (channel->me == no_member) return Error{-EBADF, "this process is no member of the channel"};
    {
      const Held held(*channel);
      if (!held) return Error{-ENOTRECOVERABLE, "the channel's memory is broken"};
      Queue& one = channel->control().queue[queue];
      one.roles[channel->me] = role;
      // What the first member could have been before anybody came counts for nothing.
      one.past_roles = channel->control().ever_joined == 1 ? unsigned(role) : one.past_roles | role;
      show_state(*channel, queue);
    }
    wake_all(*channel);
    return Done{};
  });
}

void morsel_channel_close(morsel_channel* channel) { delete channel; }

morsel_backend morsel_channel_backend(const morsel_channel* channel) {
  return channel->backend->id;
}

const char* morsel_channel_fallback(const morsel_channel* channel) {
  return channel->fallback.c_str();
}

int morsel_channel_enforces(const morsel_channel* channel) {
  return channel->backend->id == MORSEL_MORSELFS;
}

int morsel_channel_pollable(morsel_channel* channel, unsigned queue, morsel_role role,
                            morsel_error* error) {
  return at_border(error, [&]() -> Result<int> {
    if (role != MORSEL_SENDER && role != MORSEL_RECEIVER)
      return Error{-EINVAL, "what is waited for is one role's"};
    if (!channel->has(queue)) return no_such_queue(queue);
    const Held held(*channel);
    if (!held) return Error{-ENOTRECOVERABLE, "the channel's memory is broken"};
    const bool sends = role == MORSEL_SENDER;
    Queue& one = channel->control().queue[queue];
    (sends ? one.room : one.filled).polled = 1;
    show_state(*channel, queue);
    return sends ? channel->room(queue) : channel->filled(queue);
  });
}
