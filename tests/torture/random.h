// SPDX-License-Identifier: MIT
#ifndef MORSELS_TORTURE_RANDOM_H
#define MORSELS_TORTURE_RANDOM_H

#include <cstdint>

namespace torture {

// A stream of its own for each worker: what the others do does not change it.
struct Random {
  uint64_t state;

  uint64_t next() {
    state += 0x9e3779b97f4a7c15;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t n) { return n ? next() % n : 0; }
  uint64_t between(uint64_t from, uint64_t to) { return from + below(to - from + 1); }
  bool one_in(unsigned n) { return below(n) == 0; }
};

}  // namespace torture

#endif
