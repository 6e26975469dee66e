// SPDX-License-Identifier: MIT
// Where the stages write down what they have measured, in memory that all of them share.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

namespace morsel::bench {

class Board {
 public:
  /// For so many packets, of which the last `repeated` are worked on twice.
  Board(unsigned packets, unsigned repeated);
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  /// When a stage began to hand its packet over; nanoseconds.
  [[nodiscard]] std::atomic<uint64_t>& handed_over(unsigned stage) const { return *cell(stage); }
  /// From then until the next one knew, all three together; each adds its own.
  [[nodiscard]] std::atomic<uint64_t>& waited(unsigned packet) const { return *cell(3 + packet); }
  [[nodiscard]] std::atomic<uint64_t>& round_trip(unsigned packet) const {
    return *cell(3 + packets_ + packet);
  }
  /// The stage's work on a packet that nothing keeps it from; of the repeated ones.
  [[nodiscard]] std::atomic<uint64_t>& worked(unsigned stage, unsigned packet) const {
    return *cell(3 + 2 * packets_ + stage * repeated_ + packet - (packets_ - repeated_));
  }

 private:
  [[nodiscard]] std::atomic<uint64_t>* cell(unsigned number) const { return cells_ + number; }
  [[nodiscard]] uint64_t bytes() const {
    return 8 * (3 + uint64_t{2} * packets_ + uint64_t{3} * repeated_);
  }

  unsigned packets_, repeated_;
  std::atomic<uint64_t>* cells_;
};

}  // namespace morsel::bench
