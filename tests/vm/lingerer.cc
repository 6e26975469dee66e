// SPDX-License-Identifier: MIT
//
// lingerer FILE: maps the file, unmaps it, says so, and goes on unmapping other memory until it is
// killed. What a process needed for its mappings stays with it when they are gone; it must keep
// neither the file system mounted nor the module loaded, and do nothing when the module is gone.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>

namespace {

constexpr size_t bytes = 4096;

bool map_and_unmap(int fd, int flags) {
  void* at = mmap(nullptr, bytes, PROT_READ, flags, fd, 0);
  if (at == MAP_FAILED) return false;
  const volatile char first = *static_cast<volatile char*>(at);
  static_cast<void>(first);
  return munmap(at, bytes) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
  if (fd < 0 || !map_and_unmap(fd, MAP_SHARED) || close(fd) != 0) {
    perror("lingerer");
    return 1;
  }
  puts("lingering");
  fflush(stdout);
  while (map_and_unmap(-1, MAP_PRIVATE | MAP_ANONYMOUS)) usleep(20'000);
  perror("lingerer: memory of its own");
  return 1;
}
