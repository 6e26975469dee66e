// SPDX-License-Identifier: MIT
//
// An empty pool that everybody may write to, for tests in a machine without mkfs.morselfs:
//   pool-make DEVICE
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "pool_image.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: pool-make DEVICE\n");
    return 2;
  }
  pool_image::Image(argv[1]).make();
  return 0;
}
