// SPDX-License-Identifier: MIT
//
// Hashes of images, which change with each word; and the only source of chance.
#pragma once

#include "core.h"

namespace morsel::sim {

constexpr u64 mix(u64 x) {
  x += 0x9e3779b97f4a7c15UL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9UL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebUL;
  return x ^ (x >> 31);
}

/// An image's hash is the exclusive or of its words'.
constexpr u64 hash_word(u64 index, u64 value) { return mix(value ^ mix(index)); }

class Random {
 public:
  explicit Random(u64 seed) : state_(mix(seed)) {}
  u64 next() { return mix(state_++); }
  u64 below(u64 limit) { return next() % limit; }

 private:
  u64 state_;
};

}  // namespace morsel::sim
