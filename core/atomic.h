/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// The three things that lock-free code of core does to a word that many CPUs share. A template
// parameter, so that tests can stop a thread before each of them (tests/core/explore.h).
#pragma once

#include "types.h"

namespace morsel::core {

/// Words are integers, or structs without padding that are as large and aligned like one.
///
/// One order for all: what is read was written before it was published (acquire), what this CPU
/// did before is done when its exchange is seen (release). On x86-64 neither costs anything.
struct HardwareAtomic {
  template <class T>
  static T load(const T& word) {
    T value;
    __atomic_load(&word, &value, __ATOMIC_ACQUIRE);
    return value;
  }

  /// On failure `seen` holds what is there.
  template <class T>
  static bool compare_exchange(T& word, T& seen, T desired) {
    return __atomic_compare_exchange(&word, &seen, &desired, /*weak=*/false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE);
  }

  /// Only while nobody else knows the word.
  template <class T>
  static void init(T& word, T value) {
    __atomic_store(&word, &value, __ATOMIC_RELAXED);
  }
};

}  // namespace morsel::core
