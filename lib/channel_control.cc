// SPDX-License-Identifier: MIT
#include "channel_control.h"

#include <algorithm>
#include <cerrno>
#include <new>

namespace morsel::channel {

namespace {

FreeList& list_of(Control& control, uint32_t buffer) {
  return control.is_cell(buffer) ? control.free_cells : control.free_objects;
}

void push(FreeList& list, uint32_t buffer) {
  if (list.count < most_cells) list.buffers[list.count++] = buffer;
}

bool is_nobodys(const Control& control, uint32_t buffer) {
  return buffer < control.buffer_count() && control.buffers[buffer].owner == nobody;
}

void give_to(Control& control, uint32_t buffer, uint32_t member) {
  control.buffers[buffer].turn++;
  control.buffers[buffer].owner = member + first_member;
}

// Owners are the truth for who has a buffer, except that what is in a queue is the queue's: a
// sender who died had sent once `tail` was moved, a receiver had received once `head` was.
void recover(Control& control) {
  bool queued[most_buffers] = {};
  for (uint32_t number = 0; number < control.queues; number++) {
    Queue& queue = control.queue[number];
    if (queue.tail - queue.head > ring_size) queue.head = queue.tail.load();
    for (uint32_t at = queue.head; at != queue.tail; at++) {
      const uint32_t buffer = queue.ring[at % ring_size];
      if (buffer < control.buffer_count()) queued[buffer] = true;
    }
  }
  control.free_cells.count = control.free_objects.count = 0;
  for (uint32_t buffer = 0; buffer < control.buffer_count(); buffer++) {
    auto& owner = control.buffers[buffer].owner;
    if (queued[buffer])
      owner = a_queue;
    else if (owner == a_queue)
      owner = nobody;
    if (owner == nobody) push(list_of(control, buffer), buffer);
  }
}

}  // namespace

void prepare(Control& control) {
  control.magic = magic_number;
  control.version = layout_version;
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&control.lock, &attributes);
  pthread_mutexattr_destroy(&attributes);
  recover(control);
}

bool is_sound(const Control& control, uint64_t bytes) {
  return control.magic == magic_number && control.version == layout_version &&
         control.total_bytes == bytes && control.waiting_most >= 1 &&
         control.waiting_most <= most_waiting && control.cells <= most_cells &&
         control.queues >= 1 && control.queues <= most_queues && control.objects <= most_objects &&
         control.cells_at <= bytes && control.cells_at >= sizeof(Control) &&
         (control.cells == 0 || control.cell_bytes <= (bytes - control.cells_at) / control.cells);
}

Lock::Lock(Control& control) : control_(control) {
  const int code = pthread_mutex_lock(&control.lock);
  held_ = code == 0 || code == EOWNERDEAD;
  if (code != EOWNERDEAD) return;
  recover(control);
  control.events_unsure = 1;
  pthread_mutex_consistent(&control.lock);
}

Lock::~Lock() {
  if (held_) pthread_mutex_unlock(&control_.lock);
}

uint32_t take_cell(Control& control, uint32_t member) {
  FreeList& list = control.free_cells;
  while (list.count > 0 && list.count <= most_cells) {
    const uint32_t buffer = list.buffers[--list.count];
    if (!is_nobodys(control, buffer)) continue;
    give_to(control, buffer, member);
    return buffer;
  }
  return no_buffer;
}

uint32_t take_object(Control& control, uint32_t member, uint64_t bytes) {
  FreeList& list = control.free_objects;
  uint32_t best = no_buffer, place = 0;
  auto better = [&](uint64_t capacity, uint64_t than) {
    if ((capacity >= bytes) != (than >= bytes)) return capacity >= bytes;
    return capacity >= bytes ? capacity < than : capacity > than;
  };
  // From the end: what was used last is in the caches.
  for (uint32_t at = std::min(list.count, most_cells); at-- > 0;) {
    const uint32_t buffer = list.buffers[at];
    if (!is_nobodys(control, buffer)) continue;
    if (best != no_buffer &&
        !better(control.buffers[buffer].capacity, control.buffers[best].capacity))
      continue;
    best = buffer;
    place = at;
  }
  if (best == no_buffer) return no_buffer;
  give_to(control, best, member);
  for (uint32_t at = place; at + 1 < list.count; at++) list.buffers[at] = list.buffers[at + 1];
  list.count--;
  return best;
}

void give_back(Control& control, uint32_t buffer) {
  control.buffers[buffer].owner = nobody;
  push(list_of(control, buffer), buffer);
}

void enqueue(Control& control, Queue& queue, uint32_t buffer) {
  control.buffers[buffer].owner = a_queue;
  queue.ring[queue.tail % ring_size] = buffer;
  queue.tail++;
}

uint32_t dequeue(Control& control, Queue& queue, uint32_t member) {
  const uint32_t buffer = queue.ring[queue.head % ring_size];
  const bool sound = buffer < control.buffer_count() && control.buffers[buffer].owner == a_queue;
  if (sound) give_to(control, buffer, member);
  queue.head++;
  return sound ? buffer : no_buffer;
}

// There may be more than fit for a moment: the ring has room, it is a matter of counting.
void put_back(Control& control, Queue& queue, uint32_t buffer) {
  if (queue.tail - queue.head >= ring_size) return give_back(control, buffer);
  control.buffers[buffer].owner = a_queue;
  queue.ring[(queue.head - 1) % ring_size] = buffer;
  queue.head--;
}

// Done once more if somebody dies in the middle: so being present ends last.
void forget(Control& control, uint32_t member) {
  for (uint32_t queue = 0; queue < control.queues; queue++) control.queue[queue].roles[member] = 0;
  for (uint32_t buffer = 0; buffer < control.buffer_count(); buffer++) {
    Buffer& one = control.buffers[buffer];
    if (one.owner != member + first_member) continue;
    // Nobody knows what it has written.
    one.dirty = control.is_cell(buffer) ? control.cell_bytes : one.capacity;
    give_back(control, buffer);
  }
  control.present[member] = 0;
}

}  // namespace morsel::channel
