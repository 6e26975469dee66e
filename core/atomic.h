/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// What lock-free code of core does to a word that many CPUs share. A template parameter, so that
// tests can stop a thread before each of these, and let it see what the C++ memory model allows
// (tests/core/explore.h). docs/concurrency.md lists the words.
#pragma once

#include "types.h"

namespace morsel::core {

/// C++'s memory orders. The usual ones are defaults below: what is read was written before it
/// was published (acquire), what this CPU did before is done when its exchange is seen (release).
/// On x86-64 none of them costs anything; each that is named tells what is relied upon.
enum class Order : int {
  relaxed = __ATOMIC_RELAXED,
  acquire = __ATOMIC_ACQUIRE,
  release = __ATOMIC_RELEASE,
  acq_rel = __ATOMIC_ACQ_REL,
};

/// Words are integers, or structs without padding that are as large and aligned like one.
struct HardwareAtomic {
  template <Order order = Order::acquire, class T>
  static T load(const T& word) {
    T value;
    __atomic_load(&word, &value, int(order));
    return value;
  }

  /// On failure `seen` holds what is there.
  template <Order success = Order::acq_rel, Order failure = Order::acquire, class T>
  static bool compare_exchange(T& word, T& seen, T desired) {
    return __atomic_compare_exchange(&word, &seen, &desired, /*weak=*/false, int(success),
                                     int(failure));
  }

  template <Order order = Order::acq_rel, class T>
  static T exchange(T& word, T desired) {
    T before;
    __atomic_exchange(&word, &desired, &before, int(order));
    return before;
  }

  /// Only while nobody else knows the word.
  template <class T>
  static void init(T& word, T value) {
    __atomic_store(&word, &value, __ATOMIC_RELAXED);
  }
};

}  // namespace morsel::core
