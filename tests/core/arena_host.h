// SPDX-License-Identifier: MIT
//
// The tests' host of core: tables from an aligned arena behind fake physical addresses.
//
// It is stricter than the kernel. Every address that core follows must lead to a table that is
// live, or given back but not yet reclaimed. Tables are never used twice and are poisoned by
// reclaim(), so whoever reads one too late meets nonsense, and under TSan a race. What core must
// not do at all ends the test with a message, because there is no sane way on.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/tree.h"

namespace morsel::test {

using namespace morsel::core;

[[noreturn]] inline void die(const char* what, u64 value) {
  std::fprintf(stderr, "core broke a rule of its host: %s (%#lx)\n", what, value);
  std::abort();
}

/// x86-64 without memory encryption. The kernel's flags, but for those that do not matter here.
inline constexpr u64 x86_nx = 1UL << 63, x86_user = 4;
inline constexpr Format plain_format = {
    .present = 1,
    .write = 2,
    .accessed = 0x20,
    .dirty = 0x40,
    .huge = 0x80,
    .pfn_mask = 0x000ffffffffff000,
    .table = 0x67,
    .leaf = {0x63 | x86_user | x86_nx, 0x21 | x86_user | x86_nx},
};

/// The same with AMD's encryption bit, which sits among the address bits.
inline constexpr u64 x86_encrypted = 1UL << 51;
inline constexpr Format encrypted_format = {
    .present = 1,
    .write = 2,
    .accessed = 0x20,
    .dirty = 0x40,
    .huge = 0x80,
    .pfn_mask = 0x0007fffffffff000,
    .table = 0x67 | x86_encrypted,
    .leaf = {0x63 | x86_user | x86_nx | x86_encrypted, 0x21 | x86_user | x86_nx | x86_encrypted},
};

class Arena {
 public:
  explicit Arena(u64 capacity = 4096, const Format& format = encrypted_format)
      : format_(format), capacity_(capacity), slots_(new Slot[capacity]) {
    void* memory = mmap(nullptr, capacity * sizeof(Table), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) die("no memory for the arena", capacity);
    tables_ = static_cast<Table*>(memory);
  }
  ~Arena() { munmap(tables_, capacity_ * sizeof(Table)); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  const Format& format() const { return format_; }
  long live() const { return live_; }
  bool is_live(const Table* table) const { return slots_[number(table)].state == live_state; }

  /// The n-th allocation from now on fails, once. 0: none does.
  void fail_allocation(long n) { until_failure_ = n; }

  /// Called at every call of core into the host (not from within itself): where other CPUs may
  /// have done something. For one thread only.
  void on_call(std::function<void()> hook) { hook_ = std::move(hook); }
  void step() {
    if (!hook_ || in_hook_) return;
    in_hook_ = true;
    hook_();
    in_hook_ = false;
  }

  /// How many threads wait for a table's lock or hold it.
  int interested(const Table* table) const { return slots_[number(table)].interested; }

  /// Every reader that entered before has left: what was given back is poisoned.
  void reclaim() {
    std::vector<u64> gone;
    {
      const std::lock_guard guard(retired_lock_);
      gone.swap(retired_);
    }
    for (const u64 n : gone) {
      slots_[n].state = reclaimed_state;
      fill(&tables_[n], 0x6b);
    }
  }

  Table* table_at(Phys phys) const {
    if (phys < first_phys || phys >= first_phys + capacity_ * sizeof(Table) || phys % sizeof(Table))
      die("an address that is no table's", phys);
    const u64 n = (phys - first_phys) / sizeof(Table);
    const State state = slots_[n].state.load(std::memory_order_relaxed);
    if (state != live_state && state != retired_state) die("follows a reclaimed table", phys);
    return &tables_[n];
  }

  Phys address_of(const Table* table) const { return first_phys + number(table) * sizeof(Table); }

  Table* allocate(Level level) {
    if (until_failure_.fetch_sub(1, std::memory_order_relaxed) == 1) return nullptr;
    // Relaxed: the arena must not order what core itself has to order.
    const u64 n = used_.fetch_add(1, std::memory_order_relaxed);
    if (n >= capacity_) die("the arena is too small for this test", n);
    slots_[n].level = level;
    slots_[n].state.store(live_state, std::memory_order_relaxed);
    live_.fetch_add(1, std::memory_order_relaxed);
    fill(&tables_[n], 0);
    return &tables_[n];
  }

  void retire(Table* table, Level level) {
    Slot& slot = slots_[number(table)];
    if (slot.level != level) die("a table given back at another level", address_of(table));
    if (slot.state.exchange(retired_state, std::memory_order_relaxed) != live_state)
      die("a table given back twice", address_of(table));
    live_.fetch_sub(1, std::memory_order_relaxed);
    const std::lock_guard guard(retired_lock_);
    retired_.push_back(number(table));
  }

  void lock(Table* table) {
    Slot& slot = slots_[number(table)];
    slot.interested.fetch_add(1, std::memory_order_relaxed);
    slot.lock.lock();
  }
  void unlock(Table* table) {
    Slot& slot = slots_[number(table)];
    slot.lock.unlock();
    slot.interested.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  enum State : unsigned char { unused_state, live_state, retired_state, reclaimed_state };
  struct Slot {
    std::mutex lock;
    std::atomic<int> interested{0};
    std::atomic<State> state{unused_state};
    Level level{};
  };
  static constexpr Phys first_phys = 0x12'3450'0000;

  /// A real call of memset: TSan does not see what the compiler makes of one that it knows.
  static void fill(Table* table, int byte) {
    void* (*volatile set)(void*, int, std::size_t) = std::memset;
    set(table, byte, sizeof(Table));
  }

  u64 number(const Table* table) const {
    const u64 n = static_cast<u64>(table - tables_);
    if (n >= capacity_) die("a pointer that is no table's", reinterpret_cast<u64>(table));
    return n;
  }

  const Format format_;
  const u64 capacity_;
  Table* tables_;
  std::unique_ptr<Slot[]> slots_;
  std::atomic<u64> used_{0};
  std::atomic<long> live_{0};
  std::atomic<long> until_failure_{0};
  std::mutex retired_lock_;
  std::vector<u64> retired_;
  std::function<void()> hook_;
  bool in_hook_ = false;
};

}  // namespace morsel::test
