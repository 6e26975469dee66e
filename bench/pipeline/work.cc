// SPDX-License-Identifier: MIT
#include "work.h"

#include <cstring>

namespace morsel::bench {
namespace {

constexpr uint64_t mask = 0x5bd1e995a5a5a5a5;
constexpr uint64_t word_bytes = sizeof(uint64_t);

uint64_t* words(Bytes packet) { return reinterpret_cast<uint64_t*>(packet.data()); }

/// `visit(i)` for the number of each word; apart for the two, so that the compiler sees which
/// steps it can do several at a time.
template <typename Visit>
void for_each(Bytes packet, uint64_t step, Visit visit) {
  const uint64_t count = packet.size() / word_bytes;
  if (step == word_bytes)
    for (uint64_t i = 0; i < count; ++i) visit(i);
  else
    for (uint64_t i = 0; i < count; i += step / word_bytes) visit(i);
}

}  // namespace

void Work::fill(Bytes packet, uint64_t seed) const {
  uint64_t* data = words(packet);
  for_each(packet, step_, [=](uint64_t i) { data[i] = seed + i; });
}

void Work::change(Bytes from, Bytes to) const {
  const uint64_t* in = words(from);
  uint64_t* out = words(to);
  // What goes on elsewhere goes on as a whole.
  if (in != out && step_ != word_bytes) std::memcpy(out, in, from.size());
  for_each(from, step_, [=](uint64_t i) { out[i] = in[i] ^ mask; });
}

bool Work::is_right(Bytes packet, uint64_t seed) const {
  const uint64_t* data = words(packet);
  uint64_t difference = 0;
  for_each(packet, step_,
           [=, &difference](uint64_t i) { difference |= data[i] ^ mask ^ (seed + i); });
  return difference == 0;
}

}  // namespace morsel::bench
