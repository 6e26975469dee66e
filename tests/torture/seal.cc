// SPDX-License-Identifier: MIT
//
// A file of one's own that is sealed while pages move, memory runs short and everybody else goes
// on: what was in it stays, and nobody can write to it any more.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "../../uapi/morselfs.h"
#include "worker.h"

namespace torture {

namespace {

void refused(long result, const char* what) {
  if (result >= 0) fail("%s of a sealed file succeeded", what);
  if (errno != EPERM && errno != EINTR && errno != ENOMEM)
    fail("%s of a sealed file: %s", what, strerror(errno));
}

}  // namespace

void Worker::seal_some() {
  if (!options.morselfs) return;
  begin(Kind::seal);
  int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return end(-errno);
  const size_t words = random.between(1, buffer_pages) * page_words;
  const size_t bytes = words * sizeof *buffer;
  const uint64_t first = mix(random.state);
  for (size_t i = 0; i < words; i++) buffer[i] = first + i;
  if (pwrite(fd, buffer, bytes, 0) != ssize_t(bytes)) {  // no room
    close(fd);
    return end(-ENOSPC);
  }
  void* copy = random.one_in(2) ? mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0)
                                : MAP_FAILED;
  const bool sealed = done(ioctl(fd, MORSELFS_IOC_SEAL));
  if (!sealed && errno != EBUSY && errno != EINTR) fail("seal: %s", strerror(errno));
  if (sealed) {
    refused(pwrite(fd, buffer, page_bytes, 0), "pwrite");
    refused(ftruncate(fd, off_t(bytes / 2)), "ftruncate");
    refused(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page_bytes), "a hole");
    void* got = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    refused(got == MAP_FAILED ? -1 : 0, "mmap for writing");
  }
  std::fill_n(buffer, words, 0);
  if (pread(fd, buffer, bytes, 0) == ssize_t(bytes))
    for (size_t i = 0; i < words; i++)
      if (buffer[i] != first + i) fail("a file changed while it was sealed, at word %zu", i);
  if (copy != MAP_FAILED) {
    for (size_t i = 0; i < words; i += page_words)
      if (static_cast<volatile uint64_t*>(copy)[i] != first + i)
        fail("a private mapping changed while its file was sealed, at word %zu", i);
    munmap(copy, bytes);
  }
  close(fd);
}

}  // namespace torture
