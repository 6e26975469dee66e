// SPDX-License-Identifier: MIT
//
// Which frames are in use. The lowest free one is given out first, so that what was put comes back
// soon; and what is put is filled with nonsense by somebody else at once.
#pragma once

#include "memory.h"

namespace morsel::sim {

class Bitmap {
 public:
  explicit Bitmap(Memory& memory) : memory_(memory), taken_(memory.frames(), 1) {}

  void assign(const std::vector<char>& taken) { taken_ = taken; }
  Result<Frame> get() {
    for (Frame frame = first_free_frame; frame < taken_.size(); frame++) {
      if (taken_[frame] != 0) continue;
      taken_[frame] = 1;
      return frame;
    }
    return Error::no_space;
  }
  void put(Frame frame) {
    if (frame < first_free_frame || frame >= taken_.size() || taken_[frame] == 0)
      throw Failure("frame " + std::to_string(frame) + " is put twice");
    taken_[frame] = 0;
    memory_.scribble(frame);
  }
  const std::vector<char>& taken() const { return taken_; }

 private:
  Memory& memory_;
  std::vector<char> taken_;
};
static_assert(Frames<Bitmap>);

}  // namespace morsel::sim
