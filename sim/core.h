// SPDX-License-Identifier: MIT
//
// Core, with its atomic stores seen: trees are written by compare-and-swap and exchange, which do
// not go through the medium's host. Every file of the simulator includes core by this one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace morsel::sim {

/// What went wrong in a run: how the simulator says that core, or whoever uses it, has failed.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Memory that wants to know of every store to it.
class Watched {
 public:
  Watched() : before_(current) { current = this; }
  virtual ~Watched() { current = before_; }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  virtual bool holds(const void* word) const = 0;
  virtual void store_word(unsigned long* word, unsigned long value) = 0;

  /// The youngest that lives; a process has one thread.
  static inline Watched* current = nullptr;

 private:
  Watched* before_;
};

template <class T>
void store_seen(T* word, T value) {
  if constexpr (sizeof(T) == 8) {
    if (Watched::current != nullptr && Watched::current->holds(word))
      return Watched::current->store_word(word, value);
  }
  *word = value;
}

template <class T>
T exchange_seen(T* word, T value) {
  const T old = *word;
  store_seen(word, value);
  return old;
}

template <class T>
bool compare_exchange_seen(T* word, T* expected, T desired) {
  const T old = *word;
  if (old == *expected) {
    store_seen(word, desired);
    return true;
  }
  *expected = old;
  return false;
}

}  // namespace morsel::sim

#define __atomic_store_n(word, value, order) \
  ::morsel::sim::store_seen<__typeof__(*(word) + 0)>(word, value)
#define __atomic_exchange_n(word, value, order) \
  ::morsel::sim::exchange_seen<__typeof__(*(word) + 0)>(word, value)
#define __atomic_compare_exchange_n(word, expected, desired, weak, success, failure) \
  ::morsel::sim::compare_exchange_seen<__typeof__(*(word) + 0)>(word, expected, desired)

#include "core/pool/file.h"
#include "core/pool/make.h"
#include "core/pool/recover.h"

#undef __atomic_store_n
#undef __atomic_exchange_n
#undef __atomic_compare_exchange_n

namespace morsel::sim {
using namespace core;        // NOLINT
using namespace core::pool;  // NOLINT
}  // namespace morsel::sim
