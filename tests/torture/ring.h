// SPDX-License-Identifier: MIT
//
// An io_uring of one entry, used one request at a time, with one registered buffer.
#ifndef MORSELS_TORTURE_RING_H
#define MORSELS_TORTURE_RING_H

#include <linux/io_uring.h>

#include "control.h"

namespace torture {

class Ring {
 public:
  bool open();  // false with errno; true also if it was open
  void close();
  bool register_buffer(void* at, size_t bytes);  // instead of the one before; false with errno
  // Between `file` and the registered buffer; bytes or -errno.
  int transfer(int opcode, int file, void* at, size_t bytes, int64_t offset);

  // What lies in the registered buffer; id 0: none.
  Object object;
  uint32_t first = 0, pages = 0;
  uint64_t* at = nullptr;

 private:
  int fd = -1;
  char *sq = nullptr, *cq = nullptr;
  io_uring_sqe* sqes = nullptr;
  io_uring_params parameters{};
  bool registered = false;
};

}  // namespace torture

#endif
