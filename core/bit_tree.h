/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// A set of numbers that many CPUs change and search at once: a bit for each number, and above each
// 32 bits one that says whether any of them is set, and so on up to a single node. To find the next
// number costs two nodes a level at most, however large and however empty the set is.
//
// The set has no truth of its own: a bit repeats what some word elsewhere says, its *truth*
// ("this area has a free frame"). Who changes the truth calls settle() afterwards.
#pragma once

#include "atomic.h"

namespace morsel::core {

template <class Atomic = HardwareAtomic>
class BitTree {
 public:
  static constexpr u64 none = ~0UL;

  static constexpr u64 storage_bytes(u64 numbers) {
    u64 nodes = 0;
    for (u64 bits = numbers;; bits = nodes_for(bits)) {
      nodes += nodes_for(bits);
      if (bits <= fan_out) return nodes * sizeof(Node);
    }
  }

  /// A set of numbers below `numbers`, in which those of the range are.
  void init(void* storage, u64 numbers, Range range) {
    Node* nodes = static_cast<Node*>(storage);
    u64 bits = numbers;
    for (levels_ = 0;; bits = nodes_for(bits)) {
      level_[levels_++] = {nodes, bits};
      for (u64 node = 0; node < nodes_for(bits); node++)
        Atomic::init(nodes[node], Node{bits_of(range, node * fan_out), 0});
      if (bits <= fan_out) return;
      nodes += nodes_for(bits);
      if (!range.empty()) range = {range.first / fan_out, nodes_for(range.last)};
    }
  }

  /// The first number in the set that is not below this one, or `none`. Exact where nothing
  /// changes; what comes and goes meanwhile may be seen or not.
  u64 next(u64 number) const {
    // On its way, `number` counts nodes of the level below: where to look on.
    for (unsigned level = 0; level < levels_;) {
      if (number >= level_[level].bits) return none;
      const unsigned set = load(level, number).set & (~0U << number % fan_out);
      if (set == 0) {
        number = number / fan_out + 1;
        level++;
        continue;
      }
      number = number / fan_out * fan_out + static_cast<unsigned>(__builtin_ctz(set));
      if (level == 0) return number;
      number *= fan_out;
      level--;
    }
    return none;
  }

  /// Makes the bit what `truth()` says, which the caller has just changed.
  template <class Truth>
  void settle(u64 number, Truth&& truth) {
    bool up = settle_bit(0, number, truth);
    for (unsigned level = 1; up && level < levels_; level++) {
      number /= fan_out;
      up = settle_bit(level, number, [&] { return load(level - 1, number * fan_out).set != 0; });
    }
  }

 private:
  static constexpr u64 fan_out = 32;
  static constexpr unsigned max_levels = 10;  // 2^50 numbers

  /// 32 bits of a level, and how often they were settled.
  struct alignas(u64) Node {
    unsigned set;
    unsigned changes;
  };
  struct LevelOfNodes {
    Node* nodes;
    u64 bits;
  };

  static constexpr u64 nodes_for(u64 bits) { return (bits + fan_out - 1) / fan_out; }

  /// The part of the range that lies in the node whose first bit this is.
  static constexpr unsigned bits_of(Range range, u64 first) {
    const u64 from = range.first > first ? range.first - first : 0;
    const u64 to = range.last > first ? range.last - first : 0;
    if (from >= fan_out || from >= to) return 0;
    const unsigned below_to = to >= fan_out ? ~0U : (1U << to) - 1;
    return below_to & (~0U << from);
  }

  Node& node(unsigned level, u64 bit) const { return level_[level].nodes[bit / fan_out]; }
  Node load(unsigned level, u64 bit) const { return Atomic::load(node(level, bit)); }

  /// True if the node became empty or ceased to be, so that the level above must know.
  ///
  /// The node is read before the truth, and every exchange counts, even one that leaves the bit as
  /// it is. So who stopped between the two, and knows only an old truth, fails when somebody
  /// settled the bit meanwhile, and asks again; if nobody did, who changed the truth is yet to
  /// come. Hence what a finished settle() has written is never undone by old news. (Until `changes`
  /// has gone round: 2^32 times while one CPU stands still.) For that, who settles after it must
  /// know the truth that it knew: released with the node, and acquired with it before the truth is
  /// asked.
  template <class Truth>
  bool settle_bit(unsigned level, u64 bit, Truth&& truth) {
    const unsigned mask = 1U << bit % fan_out;
    Node seen = load(level, bit);
    for (;;) {
      const unsigned set = truth() ? seen.set | mask : seen.set & ~mask;
      if (Atomic::template compare_exchange<Order::release, Order::acquire>(
              node(level, bit), seen, Node{set, seen.changes + 1}))
        return (set == 0) != (seen.set == 0);
    }
  }

  LevelOfNodes level_[max_levels];
  unsigned levels_;
};

}  // namespace morsel::core
