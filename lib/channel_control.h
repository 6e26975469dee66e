// SPDX-License-Identifier: MIT
// What the processes of a channel share: one memfd, which begins with this and goes on with the
// cells. docs/library.md, "Channels", says how it works.
//
// All but the events is changed under a lock, which is robust: who dies while it holds it leaves
// what the next one puts right. So the order of stores matters, and the words that make a change
// true are atomic. Members trust each other: who writes nonsense here can make others fail, and
// they look at no more than keeps them within their own memory.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace morsel::channel {

constexpr uint32_t most_members = 64;
constexpr uint32_t most_queues = 8;
constexpr uint32_t most_waiting = 1024;
constexpr uint32_t ring_size = 2 * most_waiting;  /// a power of two, since the counts go round
constexpr uint32_t most_objects = 64;
constexpr uint32_t most_cells = most_waiting + 2 * most_members;
constexpr uint32_t most_buffers = most_cells + most_objects;
constexpr uint32_t no_buffer = UINT32_MAX;

/// Who has a buffer: nobody, a queue, or member number owner - first_member.
constexpr uint32_t nobody = 0, a_queue = 1, first_member = 2;

/// Holds one packet: a *cell* is a piece of this memfd, an *object* has a file of its own.
struct Buffer {
  std::atomic<uint32_t> owner;
  uint32_t turn;      /// how often somebody has got it
  uint64_t bytes;     /// of the packet
  uint64_t capacity;  /// of an object, as of now; 0 while that changes
  uint64_t dirty;     /// bytes from the start that may not be zero
};

/// Something that is waited for. The number changes whenever it may have come true.
struct alignas(64) Event {
  std::atomic<uint32_t> number;
  std::atomic<uint32_t> sleepers;  /// of those who died among them one only costs wake-ups
  std::atomic<uint32_t> polled;    /// somebody has asked for its descriptor
  uint32_t signalled;              /// 1: the descriptor is readable, 0: it is not; else unknown
};

/// Numbers of buffers of one kind that nobody has; the last one was used last.
struct FreeList {
  uint32_t count;
  uint32_t buffers[most_cells];
};

struct Queue {
  std::atomic<uint32_t> head, tail;  /// what waits: `ring[n % ring_size]`, head <= n < tail
  uint32_t past_roles;               /// of all that were ever there
  uint32_t ring[ring_size];
  std::atomic<uint32_t> roles[most_members];  /// morsel_roles
  Event filled;                               /// a packet came, or a member came or went
  Event room;                                 /// a packet was taken, or a member came or went

  [[nodiscard]] bool is_empty() const { return head == tail; }
};

struct Control {
  uint64_t magic;
  uint32_t version;
  uint32_t waiting_most, cells, objects, queues;
  uint64_t cell_bytes, cells_at, total_bytes;
  uint32_t backend;
  uint32_t shows_old_data;

  pthread_mutex_t lock;
  uint32_t events_unsure;  /// who died with the lock may have left them as they were
  uint32_t ever_joined;    /// members, until now
  std::atomic<uint32_t> present[most_members];  /// 1: there is such a member
  FreeList free_cells, free_objects;
  Event freed;                   /// a buffer became nobody's, or a member came or went
  Buffer buffers[most_buffers];  /// cells, then objects
  Queue queue[most_queues];

  [[nodiscard]] uint32_t buffer_count() const { return cells + objects; }
  [[nodiscard]] bool is_cell(uint32_t buffer) const { return buffer < cells; }
  [[nodiscard]] bool is_full(const Queue& one) const { return one.tail - one.head >= waiting_most; }
};

constexpr uint64_t magic_number = 0x6c656e6e61686300;
// A mutex is what the C library makes of it.
#ifdef __GLIBC__
constexpr uint32_t libc_tag = 0;
#else
constexpr uint32_t libc_tag = 1;
#endif
constexpr uint32_t layout_version = 3 << 16 | libc_tag << 15 | sizeof(pthread_mutex_t);

/// Makes a new one of memory that is zero. What it is to be is set already.
void prepare(Control& control);
/// Whether another process's can be used without leaving `bytes` of memory.
bool is_sound(const Control& control, uint64_t bytes);

/// Holds the lock, and puts right what a dead member left.
class Lock {
 public:
  explicit Lock(Control& control);
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock();
  /// No: the memory was written to by who should not.
  explicit operator bool() const { return held_; }

 private:
  Control& control_;
  bool held_;
};

// With the lock held:

/// A buffer of nobody becomes the member's. no_buffer: there is none.
uint32_t take_cell(Control& control, uint32_t member);
/// The smallest that has the capacity, or the largest.
uint32_t take_object(Control& control, uint32_t member, uint64_t bytes);
void give_back(Control& control, uint32_t buffer);
/// The queue must not be full, the buffer be the sender's.
void enqueue(Control& control, Queue& queue, uint32_t buffer);
/// It must not be empty. no_buffer: it held nonsense, which is dropped.
uint32_t dequeue(Control& control, Queue& queue, uint32_t member);
/// What was taken out of the queue becomes its first again.
void put_back(Control& control, Queue& queue, uint32_t buffer);
/// A member is gone: what it had is nobody's.
void forget(Control& control, uint32_t member);

}  // namespace morsel::channel
