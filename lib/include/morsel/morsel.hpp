// SPDX-License-Identifier: MIT
//
// libmorsel for C++20: the C interface (morsel.h, which says what everything means) with owners and
// exceptions. Header only.
//
//     auto object = morsel::Object::create(bytes);
//     auto mapping = object.map();
//     std::span<std::byte> memory = mapping.writable();
//
// What fails throws morsel::Exception, whose code() is the errno and whose what() is the sentence.
// Objects and mappings can be moved, not copied; one that was moved from may only be destroyed or
// assigned to. A mapping outlives its object.
#ifndef MORSEL_HPP
#define MORSEL_HPP

#include <morsel/morsel.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace morsel {
inline namespace v1 {

class Exception : public std::system_error {
 public:
  explicit Exception(const morsel_error& error)
      : std::system_error(-error.code, std::generic_category()), text_(error.text) {}
  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

namespace detail {
// Calls a function of the C interface with an error behind its other arguments.
template <typename Function, typename... Arguments>
int call(Function function, Arguments... arguments) {
  morsel_error error;
  int result = function(arguments..., &error);
  if (result < 0) throw Exception(error);
  return result;
}

// What is too long for the C interface is long enough for ever.
inline int milliseconds(std::chrono::milliseconds time) {
  return time.count() < 0 || time.count() > INT_MAX ? -1 : int(time.count());
}
}  // namespace detail

class Mapping {
 public:
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(morsel_address(mapping_.get())), size()};
  }
  /// Throws (EACCES) if it was mapped for reading.
  [[nodiscard]] std::span<std::byte> writable() const {
    if (access_ == MORSEL_READ) throw Exception({-EACCES, "the object was mapped for reading"});
    return {static_cast<std::byte*>(morsel_address(mapping_.get())), size()};
  }
  [[nodiscard]] std::size_t size() const { return morsel_mapped_bytes(mapping_.get()); }
  void touch() const { morsel_touch(mapping_.get()); }

 private:
  friend class Object;
  struct Unmap {
    void operator()(morsel_mapping* mapping) const { morsel_unmap(mapping); }
  };
  Mapping(morsel_mapping* mapping, morsel_access access) : mapping_(mapping), access_(access) {}

  std::unique_ptr<morsel_mapping, Unmap> mapping_;
  morsel_access access_;
};

struct Options {
  morsel_backend backend = MORSEL_ANY;
  std::string name = {};       ///< empty: unnamed
  unsigned mode = 0;           ///< 0: 0600
  std::string directory = {};  ///< empty: any mount
};

class Object {
 public:
  /// Called now and then; `false` ends the work (ECANCELED). What it throws, populate() throws.
  using Progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

  static Object create(std::uint64_t bytes, const Options& options = {}) {
    morsel_options given{sizeof given, options.backend,
                         options.name.empty() ? nullptr : options.name.c_str(), options.mode,
                         options.directory.empty() ? nullptr : options.directory.c_str()};
    morsel_object* object = nullptr;
    detail::call(morsel_create, bytes, &given, &object);
    return Object(object);
  }
  static Object open(const std::string& name, morsel_access access = MORSEL_READ) {
    morsel_object* object = nullptr;
    detail::call(morsel_open, name.c_str(), access, &object);
    return Object(object);
  }
  static Object from_fd(int fd) {
    morsel_object* object = nullptr;
    detail::call(morsel_from_fd, fd, &object);
    return Object(object);
  }
  static Object receive(int socket) {
    morsel_object* object = nullptr;
    detail::call(morsel_receive, socket, &object);
    return Object(object);
  }
  static void remove(const std::string& name) { detail::call(morsel_remove, name.c_str()); }

  [[nodiscard]] Mapping map(morsel_access access = MORSEL_READ_WRITE) const {
    morsel_mapping* mapping = nullptr;
    detail::call(morsel_map, get(), access, &mapping);
    return {mapping, access};
  }
  void send(int socket, morsel_access access = MORSEL_READ) const {
    detail::call(morsel_send, get(), socket, access);
  }
  void seal() { detail::call(morsel_seal, get()); }
  void resize(std::uint64_t bytes) { detail::call(morsel_resize, get(), bytes); }
  void populate(int source, std::uint64_t offset, std::uint64_t bytes, Progress progress = {}) {
    Watch watch{std::move(progress), nullptr};
    try {
      detail::call(morsel_populate, get(), source, offset, bytes, &Watch::call, &watch);
    } catch (const Exception&) {
      if (watch.thrown) std::rethrow_exception(watch.thrown);
      throw;
    }
  }

  [[nodiscard]] bool is_sealed() const { return morsel_is_sealed(get()) == 1; }
  [[nodiscard]] bool in_use() const { return detail::call(morsel_in_use, get()) == 1; }
  [[nodiscard]] std::uint64_t bytes() const { return morsel_bytes(get()); }
  [[nodiscard]] morsel_backend backend() const { return morsel_backend_of(get()); }
  [[nodiscard]] int fd() const { return morsel_fd(get()); }
  [[nodiscard]] std::string fallback() const { return morsel_fallback(get()); }
  [[nodiscard]] morsel_statistics statistics() const {
    morsel_statistics statistics{};
    statistics.struct_size = sizeof statistics;
    detail::call(morsel_stat, get(), &statistics);
    return statistics;
  }
  void set_huge(morsel_huge policy) const { detail::call(morsel_set_huge, get(), policy); }
  /// `bytes` 0: up to the end. What could not be moved is no error.
  morsel_moved promote(std::uint64_t offset = 0, std::uint64_t bytes = 0) const {
    return move(morsel_promote, offset, bytes);
  }
  morsel_moved demote(std::uint64_t offset = 0, std::uint64_t bytes = 0) const {
    return move(morsel_demote, offset, bytes);
  }
  /// A dma-buf's descriptor, which is the caller's to close. `bytes` 0: up to the end.
  [[nodiscard]] int export_dmabuf(morsel_access access = MORSEL_READ, std::uint64_t offset = 0,
                                  std::uint64_t bytes = 0) const {
    int fd = -1;
    detail::call(morsel_export, get(), offset, bytes, access, &fd);
    return fd;
  }
  /// For the C interface; still owned by this.
  [[nodiscard]] morsel_object* get() const { return object_.get(); }

 private:
  struct Close {
    void operator()(morsel_object* object) const { morsel_close(object); }
  };
  // No exception may pass through the C interface.
  struct Watch {
    Progress progress;
    std::exception_ptr thrown;
    static int call(std::uint64_t done, std::uint64_t total, void* context) noexcept {
      auto* self = static_cast<Watch*>(context);
      try {
        return self->progress && !self->progress(done, total);
      } catch (...) {
        self->thrown = std::current_exception();
        return 1;
      }
    }
  };
  explicit Object(morsel_object* object) : object_(object) {}
  template <typename Function>
  morsel_moved move(Function function, std::uint64_t offset, std::uint64_t bytes) const {
    morsel_moved moved{};
    moved.struct_size = sizeof moved;
    detail::call(function, get(), offset, bytes, &moved);
    return moved;
  }

  std::unique_ptr<morsel_object, Close> object_;
};

/// A packet of a channel that this process owns, or none: after it was sent, moved from, or when
/// nothing more comes. Given up when it is destroyed, which must be before its channel is.
class Packet {
 public:
  Packet() = default;
  Packet(Packet&& other) noexcept
      : channel_(std::exchange(other.channel_, nullptr)), packet_(other.packet_) {}
  Packet& operator=(Packet&& other) noexcept {
    std::swap(channel_, other.channel_);
    std::swap(packet_, other.packet_);
    return *this;
  }
  ~Packet() {
    if (channel_) morsel_packet_release(channel_, &packet_);
  }

  explicit operator bool() const { return channel_; }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(packet_.data), packet_.bytes};
  }
  /// Throws (EACCES) if it was received for reading.
  [[nodiscard]] std::span<std::byte> writable() const {
    if (packet_.access == MORSEL_READ)
      throw Exception({-EACCES, "the packet was received for reading"});
    return {static_cast<std::byte*>(packet_.data), packet_.bytes};
  }
  /// More bytes, which may be elsewhere then, or fewer.
  void resize(std::uint64_t bytes) {
    detail::call(morsel_packet_reserve, channel_, &packet_, bytes);
    packet_.bytes = bytes;
  }
  /// `timeout` as below. On failure it is still ours.
  void send(unsigned queue = 0, std::chrono::milliseconds timeout = std::chrono::milliseconds(-1)) {
    detail::call(morsel_packet_send, channel_, queue, &packet_, detail::milliseconds(timeout));
    channel_ = nullptr;
  }

 private:
  friend class Channel;

  morsel_channel* channel_ = nullptr;
  morsel_packet packet_{};
};

struct ChannelOptions {
  morsel_backend backend = MORSEL_ANY;
  std::string directory = {};  ///< empty: any mount
  bool old_data = false;       ///< packets may hold what earlier ones left
  unsigned queues = 1;
  unsigned waiting = 64;
  unsigned objects = 16;
  std::uint64_t cell_bytes = 64 << 10;
};

/// Time limits: 0 doesn't wait, negative ones wait as long as it takes; else ETIMEDOUT.
class Channel {
 public:
  using Timeout = std::chrono::milliseconds;
  static constexpr Timeout forever{-1};

  static Channel create(const ChannelOptions& options = {}) {
    morsel_channel_options given{};
    given.struct_size = sizeof given;
    given.backend = options.backend;
    given.directory = options.directory.empty() ? nullptr : options.directory.c_str();
    given.flags = options.old_data ? unsigned(MORSEL_OLD_DATA) : 0;
    given.queues = options.queues;
    given.waiting = options.waiting;
    given.objects = options.objects;
    given.cell_bytes = options.cell_bytes;
    morsel_channel* channel = nullptr;
    detail::call(morsel_channel_create, &given, &channel);
    return Channel(channel);
  }
  static Channel join(int socket, morsel_role role, bool old_data = false) {
    morsel_channel* channel = nullptr;
    detail::call(morsel_channel_join, socket, role, old_data ? unsigned(MORSEL_OLD_DATA) : 0,
                 &channel);
    return Channel(channel);
  }
  void invite(int socket) { detail::call(morsel_channel_invite, get(), socket); }
  void set_role(unsigned queue, morsel_role role) {
    detail::call(morsel_channel_set_role, get(), queue, role);
  }

  /// To be written.
  [[nodiscard]] Packet make(std::uint64_t bytes, Timeout timeout = forever) const {
    Packet packet;
    detail::call(morsel_packet_new, get(), bytes, detail::milliseconds(timeout), &packet.packet_);
    packet.channel_ = get();
    return packet;
  }
  /// None: all senders are gone, and nothing is left of what they sent.
  [[nodiscard]] Packet receive(unsigned queue = 0, morsel_access access = MORSEL_READ,
                               Timeout timeout = forever) const {
    Packet packet;
    morsel_error error;
    const int code = morsel_packet_receive(get(), queue, access, detail::milliseconds(timeout),
                                           &packet.packet_, &error);
    if (code == -EPIPE) return packet;
    if (code < 0) throw Exception(error);
    packet.channel_ = get();
    return packet;
  }
  /// For poll(2); not to be read or closed.
  [[nodiscard]] int pollable(unsigned queue, morsel_role role) const {
    return detail::call(morsel_channel_pollable, get(), queue, role);
  }
  [[nodiscard]] morsel_backend backend() const { return morsel_channel_backend(get()); }
  [[nodiscard]] std::string fallback() const { return morsel_channel_fallback(get()); }
  [[nodiscard]] bool enforces() const { return morsel_channel_enforces(get()) == 1; }
  /// For the C interface; still owned by this.
  [[nodiscard]] morsel_channel* get() const { return channel_.get(); }

 private:
  struct Close {
    void operator()(morsel_channel* channel) const { morsel_channel_close(channel); }
  };
  explicit Channel(morsel_channel* channel) : channel_(channel) {}

  std::unique_ptr<morsel_channel, Close> channel_;
};

}  // namespace v1
}  // namespace morsel
#endif
