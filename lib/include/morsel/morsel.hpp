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
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <system_error>

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

  std::unique_ptr<morsel_object, Close> object_;
};

}  // namespace v1
}  // namespace morsel
#endif
