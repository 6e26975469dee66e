// SPDX-License-Identifier: MIT
//
// make_sample FILE: an image of a pool with one of everything, for tests of the tools.
#include <fstream>

#include "pool.h"

int main(int argc, char** argv) {
  using namespace morsel::core::pool;
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_sample FILE\n");
    return 2;
  }
  test::Pool pool;
  (void)test::sample(pool);
  std::ofstream file(argv[1], std::ios::binary);
  file.write(static_cast<const char*>(pool.media.at(0)), static_cast<long>(pool.media.size()));
  file.close();
  return file.good() ? 0 : 1;
}
