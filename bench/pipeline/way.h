// SPDX-License-Identifier: MIT
// How packets get from stage to stage. A way is made before the processes are; each of them then
// calls what is its stage's. One packet is under way at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace morsel::bench {

using Bytes = std::span<std::byte>;

enum class Stage { first, middle, last };

/// All of them throw: there is nothing to measure then.
class Way {
 public:
  Way() = default;
  Way(const Way&) = delete;
  Way& operator=(const Way&) = delete;
  virtual ~Way() = default;

  /// In the stage's process, before its first packet.
  virtual void enter(Stage) {}
  /// After its last one.
  virtual void leave() {}
  /// First: memory for a packet.
  virtual Bytes make() = 0;
  /// Middle and last: waits until the stage before has handed one over,
  virtual void await() = 0;
  /// and makes its contents readable; for the middle one writable, unless result() is elsewhere.
  virtual Bytes open() = 0;
  /// Middle: where the changed packet goes.
  virtual Bytes result(Bytes packet) { return packet; }
  /// First and middle: on to the next stage.
  virtual void pass() = 0;
  /// Last: has done with it,
  virtual void finish() = 0;
  /// which the first one waits for.
  virtual void await_end() = 0;
  /// What was really used.
  [[nodiscard]] virtual std::string note() const { return ""; }
};

struct WayOptions {
  std::string system;
  uint64_t bytes = 0;
  std::string directory;  // for files; "" if the system needs none
};

std::vector<std::string> way_names();
std::unique_ptr<Way> make_way(const WayOptions& options);

// Of way_*.cc:
std::unique_ptr<Way> make_file_way(const WayOptions& options);
std::unique_ptr<Way> make_pool_way(const WayOptions& options);
std::unique_ptr<Way> make_stream_way(const WayOptions& options);
std::unique_ptr<Way> make_morsel_way(const WayOptions& options);
std::unique_ptr<Way> make_channel_way(const WayOptions& options);
#ifdef HAVE_ICEORYX
std::unique_ptr<Way> make_iceoryx_way(const WayOptions& options);
#endif

}  // namespace morsel::bench
