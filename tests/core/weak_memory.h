// SPDX-License-Identifier: MIT
//
// Shared words as the C++ memory model lets threads see them.
//
// Each word keeps all values that it has ever had, in modification order. A thread has a *view*: of
// each word the newest value that it must know of. A load may return that one or any newer one;
// what it returns is in the view then (coherence). A value that was written with release carries
// its writer's view, and who reads it with acquire knows all of that. An exchange, and a compare-
// and-swap that succeeds, reads the last value, and hands on what the one before carried (release
// sequence). A compare-and-swap that fails is a load. This is the release/acquire and relaxed
// fragment of C++20, but for three things: there is no fence and no seq_cst (core has none); plain
// stores go to the end of the modification order (core stores only where nobody else knows the
// word); and nothing is read before it is written (load buffering, values out of thin air).
//
// A thread may also know *facts* that are no words: that a table was zeroed, that a frame has its
// contents. Who follows a pointer without such knowledge was not brought it by any order.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "core/atomic.h"

namespace morsel::test {

using core::Order;
using Word = unsigned long;

constexpr bool acquires(Order order) { return order == Order::acquire || order == Order::acq_rel; }
constexpr bool releases(Order order) { return order == Order::release || order == Order::acq_rel; }

inline Word mixed(Word sum, Word word) {
  sum = ((sum + 0x9e3779b97f4a7c15) ^ word) * 0xbf58476d1ce4e5b9;
  sum = (sum ^ (sum >> 29)) * 0x94d049bb133111eb;
  return sum ^ (sum >> 32);
}

struct Operation {
  enum Kind : unsigned char {
    load,
    store,
    exchange,
    compare_exchange,
    lock,  ///< of many readers or one writer
    unlock,
    lock_shared,
    unlock_shared,
  } kind;
  void* word;
  unsigned size = sizeof(Word);
  Order order = Order::relaxed, failure = Order::relaxed;
  Word expected = 0, desired = 0;

  bool writes() const { return kind != load; }
  const char* name() const {
    static constexpr const char* names[] = {"load", "store",  "exchange",    "compare",
                                            "lock", "unlock", "lock_shared", "unlock_shared"};
    return names[kind];
  }
};

/// Of each word the number of a value, of each fact whether it is known.
struct View {
  static constexpr unsigned places = 128;
  alignas(16) unsigned char newest[places] = {};

  void join(const View& other) {
    using Some = unsigned char __attribute__((vector_size(16)));
    for (unsigned i = 0; i < places; i += sizeof(Some)) {
      Some mine, theirs;
      std::memcpy(&mine, &newest[i], sizeof(Some));
      std::memcpy(&theirs, &other.newest[i], sizeof(Some));
      mine = mine < theirs ? theirs : mine;
      std::memcpy(&newest[i], &mine, sizeof(Some));
    }
  }
  Word hash() const {
    Word words[places / sizeof(Word)], sum = 0;
    std::memcpy(words, newest, sizeof(newest));
    for (const Word word : words) sum = mixed(sum, word);
    return sum;
  }
};

/// What one thread knows.
struct Knowledge {
  View view;
  View entered;           ///< when its present operation began
  unsigned outdated = 0;  ///< loads so far that did not return the last value
};

class WeakMemory {
 public:
  /// A thread reads at most so many values that are not the last (`outdated`) in all.
  WeakMemory(unsigned threads, unsigned outdated) : known_(threads), outdated_(outdated) {}

  /// True if no order of steps can tell when this is done: nobody else uses the word, or nobody
  /// writes to it. That is guessed; see guessed_wrong().
  bool is_private(unsigned thread, const Operation& op) {
    Use& use = uses_[op.word];
    use.threads |= 1U << thread;
    use.written |= op.writes();
    if (use.place >= 0) return false;
    if (use.written && (use.threads & (use.threads - 1)) != 0 && !use.shared)
      guessed_wrong_ = use.shared = true;
    return true;
  }
  /// True once a word that was taken for private has turned out to be shared. All that was explored
  /// is then to be explored anew, after begin().
  bool guessed_wrong() const { return guessed_wrong_; }

  /// From the beginning, with all words that are known as shared.
  void begin() {
    undo(0);
    guessed_wrong_ = false;
    for (auto& [word, use] : uses_)
      if (use.shared && use.place < 0) {
        use.place = place();
        places_[unsigned(use.place)].word = word;
      }
    for (Knowledge& known : known_) known = Knowledge{};
  }

  /// How many different things an operation on a shared word may see; 0: it has to wait.
  unsigned choices(unsigned thread, const Operation& op) const {
    const History& history = history_of(op);
    if (op.kind == Operation::lock) return history.last(op) == 0;
    if (op.kind == Operation::lock_shared) return history.last(op) != written_locked;
    unsigned count = 1;
    for_each_outdated(thread, op, [&](unsigned) { count++; });
    return count;
  }

  /// Returns what was there. Choice 0 is the last value.
  Word act(unsigned thread, const Operation& op, unsigned choice) {
    const unsigned at = place_of(op);
    History& history = places_[at];
    View& view = known_[thread].view;
    unsigned number = unsigned(history.values.size());
    if (choice != 0) {
      for_each_outdated(thread, op, [&](unsigned older) {
        if (--choice == 0) number = older;
      });
      known_[thread].outdated++;
      see(thread, at, number, op.kind == Operation::load ? op.order : op.failure);
      return history.value(number);
    }
    const Word last = history.last(op);
    switch (op.kind) {
      case Operation::load:
        see(thread, at, number, op.order);
        return last;
      case Operation::compare_exchange:
        if (last != op.expected) {
          see(thread, at, number, op.failure);
          return last;
        }
        [[fallthrough]];
      case Operation::exchange: {
        see(thread, at, number, op.order);
        Value made{op.desired, number == 0 ? View{} : history.values.back().carried, {}};
        add(thread, op, made, releases(op.order));
        return last;
      }
      case Operation::store:
        add(thread, op, Value{op.desired, {}, {}}, releases(op.order));
        return last;
      // Those who share a lock are not ordered among each other by it.
      case Operation::lock:
        if (number != 0) view.join(history.values.back().of_all);
        add(thread, op, carry_on(history, written_locked), false);
        return last;
      case Operation::lock_shared:
        if (number != 0) view.join(history.values.back().carried);
        add(thread, op, carry_on(history, last + 1), false);
        return last;
      case Operation::unlock: {
        Value made{0, view, view};
        add(thread, op, made, false);
        return last;
      }
      case Operation::unlock_shared: {
        Value made = carry_on(history, last - 1);
        made.of_all.join(view);
        add(thread, op, made, false);
        return last;
      }
    }
    return last;
  }

  /// The same on a word that nobody else changes.
  static Word act_alone(const Operation& op) {
    const Word last = read(op.word, op.size);
    if (op.kind != Operation::load &&
        (op.kind != Operation::compare_exchange || last == op.expected))
      write(op.word, op.size, op.kind == Operation::unlock ? 0 : op.desired);
    return last;
  }
  Word act_alone_and_keep(const Operation& op) {
    if (op.writes()) undo_.push_back({op.word, read(op.word, op.size), op.size, -1});
    return act_alone(op);
  }

  Knowledge& known(unsigned thread) { return known_[thread]; }

  /// A number for a fact; `what` is any address that is used for nothing else.
  unsigned fact(const void* what) {
    Use& use = uses_[const_cast<void*>(what)];
    if (use.place < 0) use.place = place();
    return unsigned(use.place);
  }

  /// Which of the shared words this is, for messages.
  unsigned number_of(const Operation& op) const { return place_of(op); }

  size_t mark() const { return undo_.size(); }
  void undo(size_t mark) {
    for (; undo_.size() > mark; undo_.pop_back()) {
      const Undo& last = undo_.back();
      write(last.word, last.size, last.old);
      if (last.place < 0) continue;
      History& history = places_[unsigned(last.place)];
      hash_ -= history.values.back().hash;
      history.values.pop_back();
    }
  }

  Word hash() const {
    Word sum = hash_;
    for (const Knowledge& known : known_) {
      sum = mixed(sum, known.view.hash());
      sum = mixed(sum, known.entered.hash() + known.outdated);
    }
    return sum;
  }

 private:
  static constexpr Word written_locked = ~0UL;

  struct Value {
    Word value;
    View carried;  ///< what who acquires it knows then
    View of_all;   ///< locks: what their owners knew, those who shared it, too
    Word hash = 0;
  };
  /// What a word has held: `first`, then the values 1, 2, ...
  struct History {
    void* word = nullptr;
    Word first = 0;
    std::vector<Value> values;

    Word value(unsigned number) const { return number == 0 ? first : values[number - 1].value; }
    Word last(const Operation& op) const {
      return values.empty() ? read(op.word, op.size) : values.back().value;
    }
  };
  struct Use {
    unsigned threads = 0;
    bool written = false, shared = false;
    int place = -1;
  };
  struct Undo {
    void* word;
    Word old;
    unsigned size;
    int place;
  };

  static Word read(const void* word, unsigned size) {
    Word value = 0;
    std::memcpy(&value, word, size);
    return value;
  }
  static void write(void* word, unsigned size, Word value) { std::memcpy(word, &value, size); }

  int place() {
    if (places_.size() == View::places) {
      std::fputs("too many shared words for a View\n", stderr);
      std::abort();
    }
    places_.emplace_back();
    return int(places_.size()) - 1;
  }
  unsigned place_of(const Operation& op) const { return unsigned(uses_.at(op.word).place); }
  const History& history_of(const Operation& op) const { return places_[place_of(op)]; }

  template <class Visit>
  void for_each_outdated(unsigned thread, const Operation& op, Visit&& visit) const {
    if (op.kind != Operation::load && op.kind != Operation::compare_exchange) return;
    if (known_[thread].outdated >= outdated_) return;
    const unsigned at = place_of(op);
    const History& history = places_[at];
    for (unsigned n = unsigned(history.values.size()); n-- > known_[thread].view.newest[at];)
      if (op.kind == Operation::load || history.value(n) != op.expected) visit(n);
  }

  void see(unsigned thread, unsigned at, unsigned number, Order order) {
    View& view = known_[thread].view;
    if (number != 0 && acquires(order)) view.join(places_[at].values[number - 1].carried);
    if (view.newest[at] < number) view.newest[at] = static_cast<unsigned char>(number);
  }

  static Value carry_on(const History& history, Word value) {
    if (history.values.empty()) return {value, {}, {}};
    return {value, history.values.back().carried, history.values.back().of_all};
  }

  void add(unsigned thread, const Operation& op, Value made, bool release) {
    const unsigned at = place_of(op);
    History& history = places_[at];
    const Word old = read(op.word, op.size);
    if (history.values.empty()) history.first = old;
    undo_.push_back({op.word, old, op.size, int(at)});
    View& view = known_[thread].view;
    const auto number = static_cast<unsigned char>(history.values.size() + 1);
    if (number == 255) std::abort();
    view.newest[at] = number;
    if (release) made.carried.join(view);
    made.carried.newest[at] = number;
    made.hash =
        mixed(mixed(mixed(at * 256 + number, made.value), made.carried.hash()), made.of_all.hash());
    hash_ += made.hash;
    history.values.push_back(made);
    write(op.word, op.size, made.value);
  }

  std::vector<Knowledge> known_;
  const unsigned outdated_;
  std::unordered_map<void*, Use> uses_;
  std::vector<History> places_;
  std::vector<Undo> undo_;
  Word hash_ = 0;
  bool guessed_wrong_ = false;
};

}  // namespace morsel::test
