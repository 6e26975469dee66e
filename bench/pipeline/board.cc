// SPDX-License-Identifier: MIT
#include "board.h"

#include "system.h"

namespace morsel::bench {

Board::Board(unsigned packets, unsigned repeated) : packets_(packets), repeated_(repeated) {
  void* at = ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (at == MAP_FAILED) fail("mmap");
  cells_ = static_cast<std::atomic<uint64_t>*>(at);
}

Board::~Board() { ::munmap(cells_, bytes()); }

}  // namespace morsel::bench
