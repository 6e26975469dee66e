// SPDX-License-Identifier: MIT
// Many that do the same at the same time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace morsel::bench {

/// What one of them does: all that is not to be measured in the constructor and the destructor.
class Work {
 public:
  Work() = default;
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  virtual ~Work() = default;
  virtual void once(unsigned time) = 0;
};

/// Made by the worker itself, with its number: in its process, and on its CPU.
using MakeWork = std::function<std::unique_ptr<Work>(unsigned worker)>;

/// Starts so many processes or threads, each on a CPU of its own as far as there are any; when all
/// have made their work, each does it `times` times. Nanoseconds from the start to the last one's
/// end.
uint64_t run_together(bool processes, unsigned workers, unsigned times, const MakeWork& make);

}  // namespace morsel::bench
