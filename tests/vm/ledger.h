// SPDX-License-Identifier: MIT
//
// The oracle of tests in which processes change a file while others look at it. Its pages are
// divided into units. Each unit has one owner, who counts its generations up: contents that can be
// computed, or nothing (a hole, or beyond the end). He says when a change begins and when it is
// through. So whatever anybody sees of a unit is of a generation between the last one that was
// through before he looked and the last one that had begun afterwards.
#ifndef MORSELS_TESTS_LEDGER_H
#define MORSELS_TESTS_LEDGER_H

#include <atomic>

#include "memory.h"

constexpr size_t unit_bytes = 4 * page, unit_words = unit_bytes / 8;

class Ledger {
 public:
  static constexpr size_t most_units = 2048;

  // The owner's: the generation that now begins.
  uint32_t begin(size_t unit, bool nothing) {
    uint32_t generation = begun[unit] + 1;
    is_nothing[unit][generation % remembered] = nothing;
    begun[unit] = generation;
    return generation;
  }
  void end(size_t unit) { done[unit] = begun[unit].load(); }
  uint32_t generation(size_t unit) const { return done[unit]; }
  static void fill_unit(void* to, size_t unit, uint32_t generation) {
    fill(to, generation, unit * unit_bytes, unit_bytes);
  }

  // Taken before a look.
  uint32_t before(size_t unit) const { return done[unit]; }
  // What was seen in a unit, each word by itself, or one of so many from the first one on; `how` it
  // was seen. nullptr: there was no page.
  void check(size_t unit, uint32_t before, const uint64_t* seen, const char* how, size_t first = 0,
             size_t step = 1) const {
    const uint32_t after = begun[unit];
    if (after - before >= remembered) return;  // too much has happened meanwhile
    uint32_t last = before;                    // most often all words are of the same generation
    for (size_t w = first; w < (seen ? unit_words : first + 1); w += step) {
      uint64_t word = seen ? seen[w] : 0;
      if (is_of(unit, last, w, word)) continue;
      for (last = before; last <= after && !is_of(unit, last, w, word);) last++;
      if (last > after)
        FAIL("%s: unit %zu, word %zu: expected generation %u to %u, seen %s0x%llx (%u: 0x%llx)",
             how, unit, w, before, after, seen ? "" : "no page, ", (unsigned long long)word, before,
             (unsigned long long)word_at(before, unit * unit_bytes + w * 8));
    }
  }

 private:
  static constexpr uint32_t remembered = 64;

  bool is_of(size_t unit, uint32_t generation, size_t word, uint64_t seen) const {
    if (is_nothing[unit][generation % remembered]) return seen == 0;
    return seen == word_at(generation, unit * unit_bytes + word * 8);
  }

  std::atomic<uint32_t> begun[most_units], done[most_units];
  std::atomic<bool> is_nothing[most_units][remembered];
};

#endif
