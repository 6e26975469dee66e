/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// Which records of the log are in use. Lock-free: whoever changes names takes a record for himself.
#pragma once

#include "../atomic.h"
#include "layout.h"

namespace morsel::core::pool {

template <class Atomic = HardwareAtomic>
class BasicLogSlots {
 public:
  /// False: all are in use.
  ///
  /// Acquire: the last user's clearing of the record comes before its next use. Whoever took or
  /// gave back other records in between hands that on, as all changes are exchanges.
  bool take(unsigned& slot) {
    u32 taken = Atomic::template load<Order::relaxed>(taken_);
    while (taken != ~0U) {
      slot = static_cast<unsigned>(__builtin_ctz(~taken));
      if (Atomic::template compare_exchange<Order::acquire, Order::relaxed>(taken_, taken,
                                                                            taken | 1U << slot))
        return true;
    }
    return false;
  }

  /// Release: the record is clear.
  void give_back(unsigned slot) {
    u32 taken = Atomic::template load<Order::relaxed>(taken_);
    while (!Atomic::template compare_exchange<Order::release, Order::relaxed>(
        taken_, taken, taken & ~(1U << slot))) {
    }
  }

 private:
  static_assert(log_records == 32, "one bit each");
  u32 taken_ = 0;
};

using LogSlots = BasicLogSlots<>;

}  // namespace morsel::core::pool
