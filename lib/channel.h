// SPDX-License-Identifier: MIT
// A channel as one process has it.
#pragma once

#include <morsel/morsel.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "channel_control.h"
#include "channel_member.h"
#include "channel_object.h"
#include "descriptor.h"
#include "result.h"

namespace morsel::channel {

/// The memfd, mapped.
class Shared {
 public:
  Shared() = default;
  static Result<Shared> map(int memory, uint64_t bytes);
  Shared(Shared&& other) noexcept : at_(std::exchange(other.at_, nullptr)), bytes_(other.bytes_) {}
  Shared& operator=(Shared&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Shared();
  [[nodiscard]] Control& control() const { return *static_cast<Control*>(at_); }
  [[nodiscard]] std::byte* cell(uint32_t number) const {
    return static_cast<std::byte*>(at_) + control().cells_at + number * control().cell_bytes;
  }

 private:
  Shared(void* at, uint64_t bytes) : at_(at), bytes_(bytes) {}
  void* at_ = nullptr;
  uint64_t bytes_ = 0;
};

/// What a member is given: the memfd by an open file description of its own; two eventfds for each
/// queue, for `filled` and for `room`; the objects.
struct Parts {
  Descriptor memory;
  std::vector<Descriptor> events;
  std::vector<Descriptor> objects;
};

constexpr uint32_t no_member = UINT32_MAX;

}  // namespace morsel::channel

struct morsel_channel {
  morsel::Descriptor memory;
  std::vector<morsel::Descriptor> events;
  morsel::channel::Shared shared;
  std::vector<morsel::channel::PooledObject> objects;
  const morsel::Backend* backend;
  std::string fallback;
  uint32_t me;  /// no_member: after fork() this process could not join
  /// When somebody last looked who is still alive; nanoseconds.
  std::atomic<int64_t> last_look{0};

  // Between the handlers of fork().
  morsel::Descriptor childs_memory;
  uint32_t childs_number;

  morsel_channel() = default;
  morsel_channel(const morsel_channel&) = delete;
  morsel_channel& operator=(const morsel_channel&) = delete;
  /// Leaves.
  ~morsel_channel();

  [[nodiscard]] morsel::channel::Control& control() const { return shared.control(); }
  [[nodiscard]] bool has(uint32_t queue) const { return queue < control().queues; }
  [[nodiscard]] int filled(uint32_t queue) const { return events[2 * queue].get(); }
  [[nodiscard]] int room(uint32_t queue) const { return events[2 * queue + 1].get(); }
  [[nodiscard]] morsel::channel::PooledObject& object(uint32_t buffer) {
    return objects[buffer - control().cells];
  }
};

namespace morsel::channel {

/// Becomes a member with these parts, which have been looked at.
Result<std::unique_ptr<morsel_channel>> enter(Parts parts, Shared shared, const Backend& backend,
                                              uint32_t role);

Error no_such_queue(unsigned queue);

/// Holds the lock, and puts right what a dead member left, the descriptors too.
class Held : public Lock {
 public:
  explicit Held(morsel_channel& channel);
};

/// With the lock held: the queue's descriptors say what is so.
void show_state(morsel_channel& channel, uint32_t queue);
/// With the lock held, after a member came or went.
void show_all(morsel_channel& channel);
/// Then everybody looks again.
void wake_all(morsel_channel& channel);
/// Whether somebody was found dead, and what he had is to be had again.
bool look_for_the_dead(morsel_channel& channel);

}  // namespace morsel::channel
