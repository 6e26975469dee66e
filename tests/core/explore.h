// SPDX-License-Identifier: MIT
//
// All executions of a few threads of lock-free code, step by step: every interleaving, and at every
// load every value that the C++ memory model allows (weak_memory.h). The code takes its atomics as
// a template parameter, and here they are ExploredAtomic.
//
// No thread is needed. What a thread does is a function of what its operations have returned so
// far, its *past*. So to let it take one more step, it is run from its beginning with what it has
// seen, does one more operation on the shared memory, runs on to the next one, and is left by an
// exception. The pasts and the shared memory are then the whole state: it can be told from others,
// and gone back to.
//
// What makes "all" affordable, and leaves nothing out:
//   - a state that was met before is not entered again (states are told apart by a 64-bit hash);
//   - what a thread does to words that no other thread uses, or that nobody writes, is no step of
//     its own: it commutes with everything. Which words these are is guessed, and the exploration
//     begins anew when a guess was wrong;
//   - to unlock is no step either: nobody can have done anything in between that needs the lock.
// What bounds it: the length of an execution, so that a thread which spins is found; and, where a
// test says so, how many outdated values a thread may read.
#pragma once

#include <functional>
#include <sstream>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>

#include "weak_memory.h"

namespace morsel::test {

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

/// One thread on its way through its program.
class Run {
 public:
  struct Pause {};

  Run(WeakMemory& memory, unsigned thread) : memory_(memory), thread_(thread) {}

  /// Runs the program to its first operation on shared memory.
  template <class Program>
  void begin(Program&& program) {
    go(program, /*steps=*/0);
  }
  /// Lets it do the operation that it stopped before, and runs on to the next one.
  template <class Program>
  void step(Program&& program, unsigned choice) {
    choice_ = choice;
    go(program, /*steps=*/1);
  }

  bool over() const { return over_; }
  /// What it would do next; must not be over.
  const Operation& pending() const { return pending_; }
  Word hash() const { return past_.empty() ? 0 : past_.back().hash; }
  Word returned(size_t operation) const { return past_[operation].returned; }

  struct Mark {
    size_t past;
    bool over;
    Operation pending;
  };
  Mark mark() const { return {past_.size(), over_, pending_}; }
  void go_back(const Mark& mark) {
    past_.resize(mark.past);
    over_ = mark.over;
    pending_ = mark.pending;
  }

  /// Whose program runs; nullptr: nobody's, operations are done and not noted.
  static Run* current() { return current_; }
  unsigned thread() const { return thread_; }
  /// True while the program only repeats what it has done before.
  bool repeats() const { return at_ < past_.size(); }

  static Word act(const Operation& op) {
    if (current_ == nullptr) return WeakMemory::act_alone(op);
    return current_->do_or_repeat(op);
  }

  /// The present thread did something that others cannot see but by an order.
  static void learn(const void* what, unsigned char how_much = 1) {
    if (current_ == nullptr || current_->left_) return;
    View& view = current_->known().view;
    unsigned char& known = view.newest[current_->memory_.fact(what)];
    if (known < how_much) known = how_much;
  }
  static unsigned knows(const void* what) {
    return current_->known().view.newest[current_->memory_.fact(what)];
  }
  /// What it knew when its operation began.
  static unsigned knew(const void* what) {
    return current_->known().entered.newest[current_->memory_.fact(what)];
  }
  /// An operation of the program begins.
  static void enter() {
    if (current_ != nullptr && !current_->repeats())
      current_->known().entered = current_->known().view;
  }

  /// Something is wrong, and there is no sane way on.
  [[noreturn]] static void fail(const std::string& what) {
    if (current_ == nullptr) {
      std::fprintf(stderr, "outside of any thread: %s\n", what.c_str());
      std::abort();
    }
    if (fault_.empty()) fault_ = what;
    current_->leave();
  }
  static std::string take_fault() { return std::exchange(fault_, {}); }

 private:
  struct Done {
    Word returned;
    Word hash;
  };

  static constexpr size_t longest = 1 << 16;

  Knowledge& known() { return memory_.known(thread_); }

  template <class Program>
  void go(Program&& program, unsigned steps) {
    at_ = 0;
    steps_ = steps;
    left_ = false;
    over_ = true;
    current_ = this;
    try {
      program();
    } catch (const Pause&) {
      over_ = false;
    }
    current_ = nullptr;
  }

  [[noreturn]] void leave() {
    left_ = true;
    throw Pause{};
  }

  Word do_or_repeat(const Operation& op) {
    if (left_) return 0;  // a destructor on the way out
    if (repeats()) return past_[at_++].returned;
    if (past_.size() == longest)
      fail("it never ends");  // nor does any other thread see what it does
    if (memory_.is_private(thread_, op)) return note(memory_.act_alone_and_keep(op));
    const bool is_step = op.kind != Operation::unlock && op.kind != Operation::unlock_shared;
    if (is_step && steps_ == 0) {
      pending_ = op;
      leave();
    }
    if (!is_step) return note(memory_.act(thread_, op, 0));
    steps_--;
    return note(memory_.act(thread_, op, choice_));
  }

  Word note(Word returned) {
    past_.push_back({returned, mixed(hash(), returned)});
    at_++;
    return returned;
  }

  static inline Run* current_ = nullptr;
  static inline std::string fault_;

  WeakMemory& memory_;
  const unsigned thread_;
  std::vector<Done> past_;
  size_t at_ = 0;
  unsigned steps_ = 0, choice_ = 0;
  bool left_ = false, over_ = false;
  Operation pending_{};
};

struct ExploredAtomic {
  template <Order order = Order::acquire, class T>
  static T load(const T& word) {
    return from_word<T>(Run::act({.kind = Operation::load,
                                  .word = const_cast<T*>(&word),
                                  .size = sizeof(T),
                                  .order = order}));
  }
  template <Order success = Order::acq_rel, Order failure = Order::acquire, class T>
  static bool compare_exchange(T& word, T& seen, T desired) {
    const Word found = Run::act({.kind = Operation::compare_exchange,
                                 .word = &word,
                                 .size = sizeof(T),
                                 .order = success,
                                 .failure = failure,
                                 .expected = to_word(seen),
                                 .desired = to_word(desired)});
    const bool same = found == to_word(seen);
    seen = from_word<T>(found);
    return same;
  }
  template <Order order = Order::acq_rel, class T>
  static T exchange(T& word, T desired) {
    return from_word<T>(Run::act({.kind = Operation::exchange,
                                  .word = &word,
                                  .size = sizeof(T),
                                  .order = order,
                                  .desired = to_word(desired)}));
  }
  template <class T>
  static void init(T& word, T value) {
    Run::act(
        {.kind = Operation::store, .word = &word, .size = sizeof(T), .desired = to_word(value)});
  }
};

/// A lock of many readers or one writer, for explored programs.
class ExploredLock {
 public:
  void lock() { act(Operation::lock); }
  void unlock() { act(Operation::unlock); }
  void lock_shared() { act(Operation::lock_shared); }
  void unlock_shared() { act(Operation::unlock_shared); }

 private:
  void act(Operation::Kind kind) { Run::act({.kind = kind, .word = &word_}); }
  Word word_ = 0;
};

/// Explores threads that share memory and keep a `Local` each, from the memory as it is when the
/// explorer is run. `check(locals, over)` is asked after every step, and once more with `over` when
/// all have ended; it returns what is wrong, or nothing. It sees the last value of every word, and
/// leaves all as it was.
template <class Local>
class Explorer {
 public:
  using Program = std::function<void(Local&)>;
  using Check = std::function<std::string(const std::vector<Local>&, bool over)>;
  Explorer(std::vector<Program> programs, Check check, unsigned outdated)
      : memory_(unsigned(programs.size()), outdated),
        programs_(std::move(programs)),
        check_(std::move(check)) {}

  /// What is wrong, and the steps that lead there; nothing if nothing is.
  std::string run() {
    do {
      memory_.begin();
      runs_.clear();
      known_.clear();
      fault_.clear();
      locals_.assign(programs_.size(), Local{});
      ends_ = steps_ = 0;
      for (unsigned t = 0; t < programs_.size(); t++) {
        runs_.emplace_back(memory_, t);
        runs_[t].begin([&] { programs_[t](locals_[t]); });
        fail(Run::take_fault());
      }
      enter();
    } while (memory_.guessed_wrong());
    memory_.undo(0);
    return fault_;
  }
  /// If a thread knows of a fact by now. For checks.
  bool knows(unsigned thread, const void* fact) {
    return memory_.known(thread).view.newest[memory_.fact(fact)] != 0;
  }
  size_t states() const { return known_.size(); }
  size_t steps() const { return steps_; }
  size_t ends() const { return ends_; }

 private:
  static constexpr size_t longest = 4000;

  struct Step {
    unsigned thread, choice;
    Operation operation;
    Word returned;
  };

  bool stopped() const { return memory_.guessed_wrong() || !fault_.empty(); }

  void enter() {
    if (stopped() || !known_.insert(hash()).second) return;
    if (trace_.size() > longest) return fail("it never ends");
    bool over = true, moved = false;
    for (unsigned t = 0; t < runs_.size() && !stopped(); t++) {
      if (runs_[t].over()) continue;
      over = false;
      const unsigned choices = memory_.choices(t, runs_[t].pending());
      for (unsigned choice = 0; choice < choices && !stopped(); choice++) {
        moved = true;
        step(t, choice);
      }
    }
    if (stopped()) return;
    if (!over) return moved ? void() : fail("nobody can go on");
    ends_++;
    fail(check_(locals_, true));
  }

  void step(unsigned t, unsigned choice) {
    const Local local = locals_[t];
    const Run::Mark run = runs_[t].mark();
    const Knowledge known = memory_.known(t);
    const size_t memory = memory_.mark();

    locals_[t] = Local{};
    steps_++;
    trace_.push_back({t, choice, runs_[t].pending(), 0});
    const size_t done = runs_[t].mark().past;
    runs_[t].step([&] { programs_[t](locals_[t]); }, choice);
    trace_.back().returned = runs_[t].returned(done);
    fail(Run::take_fault());
    if (!stopped()) fail(check_(locals_, false));
    enter();

    trace_.pop_back();
    memory_.undo(memory);
    memory_.known(t) = known;
    runs_[t].go_back(run);
    locals_[t] = local;
  }

  void fail(const std::string& what) {
    if (!fault_.empty() || what.empty()) return;
    std::ostringstream out;
    out << what << ", after" << std::hex;
    for (const Step& step : trace_) {
      out << "\n  " << char('A' + step.thread) << ' ' << step.operation.name() << " word "
          << memory_.number_of(step.operation) << ": " << step.returned;
      if (step.operation.writes()) out << " -> " << step.operation.desired;
      if (step.operation.kind == Operation::compare_exchange)
        out << " if " << step.operation.expected;
      if (step.choice != 0) out << ", outdated";
    }
    fault_ = out.str();
  }

  Word hash() const {
    Word sum = memory_.hash();
    for (const Run& run : runs_) sum = mixed(sum, run.hash() + run.over());
    return sum;
  }

  WeakMemory memory_;
  const std::vector<Program> programs_;
  const Check check_;
  std::vector<Run> runs_;
  std::vector<Local> locals_;
  std::unordered_set<Word> known_;
  std::vector<Step> trace_;
  std::string fault_;
  size_t ends_ = 0, steps_ = 0;
};

}  // namespace morsel::test
