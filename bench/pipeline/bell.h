// SPDX-License-Identifier: MIT
// A counter in shared memory that another process waits for: a short look, then a futex. As quick
// as such things get.
#pragma once

#include <atomic>
#include <cstdint>

namespace morsel::bench {

class alignas(64) Bell {
 public:
  void ring();
  /// Until it was rung once more than at the last return.
  void await();

 private:
  std::atomic<uint32_t> rung_{0};
  std::atomic<uint32_t> sleepers_{0};
  alignas(64) uint32_t heard_ = 0;
};

}  // namespace morsel::bench
