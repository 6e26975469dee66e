// SPDX-License-Identifier: MIT
//
// The power cuts: which images may be left at a moment, and each of them checked.
//
// Only lines that somebody looks at make a difference. So lines in frames that no image's check has
// touched stay as they are; if an image turns up whose check does touch them, all is tried again
// with them. What remains is exact: two images that agree in all that a check reads are the same to
// it.
#pragma once

#include <unordered_set>

#include "check.h"
#include "tally.h"

namespace morsel::sim {

/// How thoroughly.
enum class Detail {
  fine,   ///< after each store
  coarse  ///< before each fence, lines wholly old or new, one by one
};

class Crash {
 public:
  /// What is told of each new image: its content is in the memory's durable() while it is called.
  using OnState = std::function<void(const Content&, const Verdict&, Phys base)>;

  Crash(Memory& memory, Tally& tally, u64 seed, Detail detail)
      : memory_(memory),
        tally_(tally),
        seed_(seed),
        detail_(detail),
        checker_(memory.frames()),
        relevant_(memory.frames(), 0) {}

  OnState on_state;

  /// From now on images may be this.
  void expect(const Expectation& expectation) {
    expectation_ = expectation;
    seen_.clear();
    std::fill(relevant_.begin(), relevant_.end(), 0);
    fresh_ = true;
  }
  const Expectation& expectation() const { return expectation_; }

  /// Something has happened to the memory.
  void event(Memory::Event event) {
    if (event == Memory::Event::store) fresh_ = true;
    if (!fresh_ || event == Memory::Event::flush) return;
    if (detail_ == Detail::coarse && event != Memory::Event::fence) return;
    explore();
  }

  /// Tries every image that is possible now.
  void explore() {
    fresh_ = false;
    do {
      collect();
      found_relevant_ = false;
      choose_all();
    } while (found_relevant_);
  }

  /// Nothing has leaked; every store was seen.
  void audit(Phys base, const Bitmap& frames, std::optional<Frame> open) {
    memory_.audit();
    Image image(memory_.durable().words);
    for (const auto& [number, line] : memory_.lines())
      for (const Store& store : line.stores) image.store(store.word, store.value);
    checker_.audit(image, base, frames.taken(), open);
  }

  Checker& checker() { return checker_; }

 private:
  /// What a line, or all lines that only hold notes, can be.
  struct Variant {
    std::vector<std::pair<u64, u64>> words;
    u64 hash = 0;
    std::string text;
  };
  struct Choice {
    std::string name;
    std::vector<Variant> variants;  ///< the first: nothing; the last: all
  };
  using Combination = std::vector<unsigned>;

  void collect() {
    choices_.clear();
    Choice notes{"notes", {{}, {}}};
    for (const auto& [number, line] : memory_.lines()) {
      if (!looked_at(number / lines_per_frame)) continue;
      bool only_notes = true;
      for (const Store& store : line.stores) only_notes = only_notes && store.note;
      if (only_notes) {
        for (const Store& store : line.stores) add(notes.variants[1], store);
      } else {
        choices_.push_back(choice(number, line));
      }
    }
    if (!notes.variants[1].words.empty()) choices_.push_back(std::move(notes));
  }

  /// Superblocks, log and root are looked at always.
  bool looked_at(Frame frame) const { return frame < first_free_frame || relevant_[frame] != 0; }

  void add(Variant& variant, const Store& store) {
    const u64 durable = memory_.durable().words[store.word];
    for (auto& [word, value] : variant.words) {
      if (word != store.word) continue;
      variant.hash ^= hash_word(word, value) ^ hash_word(word, store.value);
      value = store.value;
      return;
    }
    variant.words.emplace_back(store.word, store.value);
    variant.hash ^= hash_word(store.word, durable) ^ hash_word(store.word, store.value);
  }

  Choice choice(u64 number, const Line& line) {
    const u64 offset = number % lines_per_frame * line_bytes;
    Choice made{
        "frame " + std::to_string(number / lines_per_frame) + " offset " + std::to_string(offset),
        {{}}};
    const size_t count = line.stores.size();
    Variant prefix;
    for (size_t i = 0; i < count; i++) {
      const bool whole = i + 1 == count;
      // A bulk's stores are in no order: one alone, or all others.
      if (detail_ == Detail::fine && line.stores[i].bulk != 0 && count > 2) bulk(made, line, i);
      add(prefix, line.stores[i]);
      if (!whole && detail_ == Detail::coarse) continue;
      prefix.text = std::to_string(i + 1) + " of " + std::to_string(count) + " stores";
      made.variants.push_back(prefix);
    }
    return made;
  }

  void bulk(Choice& made, const Line& line, size_t at) {
    size_t first = at, last = at + 1;
    while (first > 0 && line.stores[first - 1].bulk == line.stores[at].bulk) first--;
    while (last < line.stores.size() && line.stores[last].bulk == line.stores[at].bulk) last++;
    if (last - first < 3) return;
    Variant single, others;
    for (size_t i = 0; i < first; i++) {
      add(single, line.stores[i]);
      add(others, line.stores[i]);
    }
    for (size_t i = first; i < last; i++) add(i == at ? single : others, line.stores[i]);
    single.text = "store " + std::to_string(at + 1) + " before others of its write";
    others.text = "all up to " + std::to_string(last) + " but store " + std::to_string(at + 1);
    made.variants.push_back(std::move(single));
    made.variants.push_back(std::move(others));
  }

  void choose_all() {
    const size_t count = choices_.size();
    Combination none(count, 0), all(count);
    u64 product = 1;
    for (size_t i = 0; i < count; i++) {
      all[i] = last(i);
      product = std::min<u64>(product * choices_[i].variants.size(), 1UL << 20);
    }
    visit(all);
    visit(none);
    if (detail_ == Detail::fine && product <= 512) return choose_products(none);
    for (size_t i = 0; i < count; i++) {
      each_variant(none, i);
      each_variant(all, i);
    }
    if (detail_ == Detail::coarse) return;
    if (count <= 10) return choose_subsets(none);
    for (size_t i = 0; i < count; i++)
      for (size_t j = i + 1; j < count; j++) {
        Combination pair = none;
        pair[i] = last(i);
        pair[j] = last(j);
        visit(pair);
      }
    Random random(seed_ ^ memory_.durable().hash);
    for (unsigned n = 0; n < 200; n++) {
      Combination some = none;
      for (size_t i = 0; i < count; i++)
        some[i] = static_cast<unsigned>(random.below(choices_[i].variants.size()));
      visit(some);
    }
  }

  unsigned last(size_t choice) const {
    return static_cast<unsigned>(choices_[choice].variants.size() - 1);
  }

  void each_variant(Combination combination, size_t of) {
    for (unsigned variant = 0; variant <= last(of); variant++) {
      combination[of] = variant;
      visit(combination);
    }
  }

  void choose_products(Combination combination) {
    for (;;) {
      visit(combination);
      size_t i = 0;
      while (i < combination.size() && combination[i] == last(i)) combination[i++] = 0;
      if (i == combination.size()) return;
      combination[i]++;
    }
  }

  void choose_subsets(const Combination& none) {
    for (u64 set = 0; set < 1UL << none.size(); set++) {
      Combination combination = none;
      for (size_t i = 0; i < none.size(); i++)
        if ((set >> i & 1) != 0) combination[i] = last(i);
      visit(combination);
    }
  }

  void visit(const Combination& combination) {
    u64 hash = memory_.durable().hash;
    for (size_t i = 0; i < combination.size(); i++)
      hash ^= choices_[i].variants[combination[i]].hash;
    if (!seen_.insert(hash).second) return;
    tally_.count_image(hash);
    try {
      for (const Phys base : expectation_.bases) check(combination, hash, base);
    } catch (const Failure& failure) {
      throw Failure(failure.what() + describe(combination));
    }
  }

  void check(const Combination& combination, u64 hash, Phys base) {
    Content& durable = memory_.durable();
    Image image(durable.words);
    const auto put = [&] {
      for (size_t i = 0; i < combination.size(); i++)
        for (const auto& [word, value] : choices_[i].variants[combination[i]].words)
          image.store(word, value);
    };
    put();
    const Verdict verdict = checker_.check(image, expectation_, base);
    for (const auto& [number, line] : memory_.lines()) {
      const Frame frame = number / lines_per_frame;
      if (!looked_at(frame) && image.touched(frame)) found_relevant_ = true;
    }
    for (Frame frame = 0; frame < relevant_.size(); frame++)
      relevant_[frame] = static_cast<char>(relevant_[frame] | image.touched(frame));
    if (!on_state) return;
    image.undo();
    put();
    const u64 old = std::exchange(durable.hash, hash);
    on_state(durable, verdict, base);
    durable.hash = old;
  }

  std::string describe(const Combination& combination) const {
    std::string text = "\n  durable of the lines that were not:";
    for (size_t i = 0; i < combination.size(); i++) {
      const std::string& variant = choices_[i].variants[combination[i]].text;
      text += "\n    " + choices_[i].name + ": " +
              (combination[i] == 0 ? "nothing"
               : variant.empty()   ? "all"
                                   : variant);
    }
    return combination.empty() ? "\n  every line is durable" : text;
  }

  Memory& memory_;
  Tally& tally_;
  const u64 seed_;
  const Detail detail_;
  Checker checker_;
  Expectation expectation_;
  std::vector<char> relevant_;
  std::vector<Choice> choices_;
  std::unordered_set<u64> seen_;
  bool fresh_ = false;
  bool found_relevant_ = false;
};

}  // namespace morsel::sim
