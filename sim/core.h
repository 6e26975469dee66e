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
#include <type_traits>
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
void store_seen(T* word, const T* value) {
  if constexpr (std::is_same_v<T, unsigned long>) {
    if (Watched::current != nullptr && Watched::current->holds(word))
      return Watched::current->store_word(word, *value);
  }
  *word = *value;
}

template <class T>
void exchange_seen(T* word, const T* value, T* before) {
  *before = *word;
  store_seen(word, value);
}

// Words have no padding.
template <class T>
bool compare_exchange_seen(T* word, T* expected, const T* desired) {
  if (std::memcmp(word, expected, sizeof(T)) == 0) {
    store_seen(word, desired);
    return true;
  }
  *expected = *word;
  return false;
}

}  // namespace morsel::sim

// What core/atomic.h is made of.
#define __atomic_store(word, value, order) ::morsel::sim::store_seen(word, value)
#define __atomic_exchange(word, value, before, order) \
  ::morsel::sim::exchange_seen(word, value, before)
#define __atomic_compare_exchange(word, expected, desired, weak, success, failure) \
  ::morsel::sim::compare_exchange_seen(word, expected, desired)

#include "core/pool/file.h"
#include "core/pool/make.h"
#include "core/pool/recover.h"

#undef __atomic_store
#undef __atomic_exchange
#undef __atomic_compare_exchange

namespace morsel::sim {
using namespace core;        // NOLINT
using namespace core::pool;  // NOLINT
}  // namespace morsel::sim
