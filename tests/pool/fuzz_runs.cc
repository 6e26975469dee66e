// SPDX-License-Identifier: MIT
//
// fuzz_runs COUNT [SEED]: as many random inputs for the fuzzer's target, without a fuzzer. A run
// that fails says its own seed: fuzz_runs 1 SEED.
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

uint64_t current;

void tell(int) { std::fprintf(stderr, "the failing run: fuzz_runs 1 %lu\n", current); }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: fuzz_runs COUNT [SEED]\n");
    return 2;
  }
  const uint64_t count = std::strtoull(argv[1], nullptr, 0);
  const uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1;
  std::signal(SIGABRT, tell);
  for (uint64_t run = 0; run < count; ++run) {
    current = first + run;
    std::mt19937_64 random(current);
    // Mostly few changes: the more there are, the less of the pool is looked at.
    std::vector<uint8_t> input(2 + 12 * (1 + random() % (1 + random() % 8)));
    for (uint8_t& byte : input) byte = static_cast<uint8_t>(random());
    if (random() % 4 != 0) input[1] = 0;
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%lu runs\n", count);
  return 0;
}
