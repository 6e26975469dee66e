// SPDX-License-Identifier: MIT
// The three connections of a pipeline: first to middle, middle to last, and back to the first.
#pragma once

#include <array>

#include "way.h"

namespace morsel::bench {

class Sockets {
 public:
  /// SOCK_SEQPACKET or SOCK_STREAM.
  explicit Sockets(int type);
  ~Sockets();
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;

  void enter(Stage stage) { stage_ = static_cast<unsigned>(stage); }
  /// To the next stage, and from the one before; the last one's next is the first.
  [[nodiscard]] int next() const { return ends_[stage_][0]; }
  [[nodiscard]] int previous() const { return ends_[(stage_ + 2) % 3][1]; }

  /// A byte, and a descriptor unless that is -1.
  void send(int fd = -1) const;
  /// Waits; the descriptor, or -1.
  [[nodiscard]] int receive() const;

 private:
  std::array<std::array<int, 2>, 3> ends_{};
  unsigned stage_ = 0;
};

}  // namespace morsel::bench
