// SPDX-License-Identifier: MIT
#include "weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace morsel::bench {
namespace {

/// SplitMix64: word `i` depends on `key` and `i` alone, so the loop has no chain from one word to
/// the next and runs at the speed of memory.
constexpr uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}
constexpr uint64_t golden = 0x9e3779b97f4a7c15;

/// Scale for weights of unit variance after a sum over `columns`, as half-precision bits. A power
/// of two, so it is exact.
uint16_t scale_of(uint64_t columns) {
  constexpr double byte_deviation = 73.9;  // of the odd numbers in [-127, 127]
  const double scale = 1.0 / (std::sqrt(static_cast<double>(columns)) * byte_deviation);
  constexpr int smallest_normal = -14;
  constexpr int exponent_bias = 15;
  const int exponent = std::max(static_cast<int>(std::lround(std::log2(scale))), smallest_normal);
  return static_cast<uint16_t>((exponent + exponent_bias) << 10);
}

}  // namespace

void fill_chunk(const TensorPlan& tensor, uint64_t seed, uint64_t chunk,
                std::span<unsigned char> out) {
  if (tensor.type == gguf::Tensor::f32) {
    // Norms: ones leave the activations as they are.
    const uint32_t one = std::bit_cast<uint32_t>(1.0F);
    for (size_t i = 0; i + sizeof one <= out.size(); i += sizeof one)
      std::memcpy(&out[i], &one, sizeof one);
    return;
  }

  // Odd bytes only: symmetric around zero, and never -128, which Q8_0 does not use.
  constexpr uint64_t odd = 0x0101010101010101;
  const uint64_t key = mix(mix(seed + golden) ^ (uint64_t{tensor.number} << 32) ^ chunk);
  const size_t words = out.size() / sizeof(uint64_t);
  for (size_t i = 0; i < words; ++i) {
    const uint64_t word = mix(key + i * golden) | odd;
    std::memcpy(&out[i * sizeof word], &word, sizeof word);
  }
  const uint64_t last = mix(key + words * golden) | odd;
  std::memcpy(out.data() + words * sizeof last, &last, out.size() % sizeof last);

  const uint16_t scale = scale_of(tensor.columns);
  for (size_t i = 0; i < out.size(); i += gguf::q8_0_bytes)
    std::memcpy(&out[i], &scale, sizeof scale);
}

}  // namespace morsel::bench
