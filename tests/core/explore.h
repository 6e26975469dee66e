// SPDX-License-Identifier: MIT
//
// All interleavings of a few threads of lock-free code, step by step; a step is what happens from
// one atomic operation to the next. The code takes its atomics as a template parameter, and here
// they are ExploredAtomic.
//
// No thread is needed. What a thread does is a function of what its atomic operations have returned
// so far, its *past*. So to let it take one more step, it is run from its beginning with what it
// has seen, does one more operation on the shared memory, and is left by an exception. The shared
// memory and the pasts are then the whole state: it can be kept, compared, and gone back to. A
// state that was met before is not entered again, which makes "all" affordable. (States are told
// apart by a 64-bit hash.) Memory is sequentially consistent here; what weaker orders do, TSan may
// find.
#pragma once

#include <bit>
#include <cstring>
#include <functional>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <vector>

namespace morsel::test {

using Word = unsigned long;

template <class T>
Word to_word(T value) {
  static_assert(sizeof(T) <= sizeof(Word) && std::is_trivially_copyable_v<T>);
  Word word = 0;
  std::memcpy(&word, &value, sizeof(T));
  return word;
}
template <class T>
T from_word(Word word) {
  T value;
  std::memcpy(&value, &word, sizeof(T));
  return value;
}

/// What a thread's operations have returned, and how far it is in running through that again.
class Past {
 public:
  struct Pause {};

  /// Runs the program until it has taken one new step. True if it came to its end.
  template <class Program>
  bool step(Program&& program) {
    at_ = 0;
    stepped_ = false;
    current = this;
    bool over = true;
    try {
      program();
    } catch (const Pause&) {
      over = false;
    }
    current = nullptr;
    return over;
  }
  void step_back() { seen_.pop_back(); }

  const std::vector<Word>& seen() const { return seen_; }

  /// The operation `act`, or what it returned when it was done.
  template <class Act>
  static auto observe(Act&& act) {
    using T = decltype(act());
    if (current == nullptr) return act();
    Past& past = *current;
    if (past.at_ < past.seen_.size()) return from_word<T>(past.seen_[past.at_++]);
    if (past.stepped_) throw Pause{};
    past.stepped_ = true;
    const T value = act();
    past.seen_.push_back(to_word(value));
    past.at_++;
    return value;
  }

 private:
  static inline Past* current = nullptr;  ///< nobody's: operations are done and not noted
  std::vector<Word> seen_;
  size_t at_ = 0;
  bool stepped_ = false;
};

struct ExploredAtomic {
  template <class T>
  static T load(const T& word) {
    return Past::observe([&] { return word; });
  }
  template <class T>
  static bool compare_exchange(T& word, T& seen, T desired) {
    const T found = Past::observe([&] {
      const T before = word;
      if (to_word(before) == to_word(seen)) word = desired;
      return before;
    });
    const bool same = to_word(found) == to_word(seen);
    seen = found;
    return same;
  }
  template <class T>
  static void init(T& word, T value) {
    word = value;
  }
};

/// Explores threads that share a piece of memory and keep a `Local` each, from the memory as it is
/// when the explorer is made. `check(locals, over)` is asked after every step, and once more with
/// `over` when all have ended; it returns what is wrong, or nothing. It may use the memory.
template <class Local>
class Explorer {
 public:
  using Program = std::function<void(Local&)>;
  using Check = std::function<std::string(const std::vector<Local>&, bool over)>;

  Explorer(std::vector<Word>& memory, std::vector<Program> programs, Check check)
      : memory_(memory), programs_(std::move(programs)), check_(std::move(check)) {
    threads_.resize(programs_.size());
    locals_.resize(programs_.size());
  }

  /// What is wrong, and the order of threads that leads there; nothing if nothing is.
  std::string run() {
    enter();
    return fault_;
  }
  size_t states() const { return known_.size(); }
  size_t ends() const { return ends_; }

 private:
  struct Thread {
    Past past;
    bool over = false;
  };

  void enter() {
    if (!known_.insert(hash()).second) return;
    if (schedule_.size() > 2000) return fail("it never ends");
    const std::vector<Word> memory = memory_;
    bool over = true;
    for (size_t t = 0; t < threads_.size() && fault_.empty(); t++) {
      if (threads_[t].over) continue;
      over = false;
      const Local local = locals_[t];
      locals_[t] = Local{};
      threads_[t].over = threads_[t].past.step([&] { programs_[t](locals_[t]); });
      schedule_ += static_cast<char>('A' + t);
      fail(check_(locals_, false));
      if (fault_.empty()) enter();
      schedule_.pop_back();
      threads_[t].over = false;
      threads_[t].past.step_back();
      locals_[t] = local;
      memory_ = memory;
    }
    if (!over) return;
    ends_++;
    fail(check_(locals_, true));
    memory_ = memory;
  }

  void fail(const std::string& what) {
    if (fault_.empty() && !what.empty()) fault_ = what + ", after " + schedule_;
  }

  Word hash() const {
    Word sum = 0;
    const auto mix = [&](Word word) {
      sum = (sum ^ word) * 0x9e3779b97f4a7c15;
      sum ^= sum >> 29;
    };
    for (const Word word : memory_) mix(word);
    for (const Thread& thread : threads_) {
      mix(thread.past.seen().size());
      for (const Word word : thread.past.seen()) mix(word);
    }
    return sum;
  }

  std::vector<Word>& memory_;
  const std::vector<Program> programs_;
  const Check check_;
  std::vector<Thread> threads_;
  std::vector<Local> locals_;
  std::unordered_set<Word> known_;
  std::string schedule_, fault_;
  size_t ends_ = 0;
};

}  // namespace morsel::test
