// SPDX-License-Identifier: MIT
#include "ring.h"

#include <cerrno>
#include <cstring>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace torture {

static char* map_part(int fd, size_t bytes, off_t offset) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

static unsigned* number(char* part, unsigned at) { return reinterpret_cast<unsigned*>(part + at); }

bool Ring::open() {
  if (fd >= 0) return true;
  parameters = {};
  fd = int(syscall(SYS_io_uring_setup, 1, &parameters));
  if (fd < 0) return false;
  const io_uring_params& p = parameters;
  sq = map_part(fd, p.sq_off.array + p.sq_entries * 4, IORING_OFF_SQ_RING);
  cq = map_part(fd, p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
  sqes = reinterpret_cast<io_uring_sqe*>(map_part(fd, sizeof *sqes, IORING_OFF_SQES));
  if (sq && cq && sqes) return true;
  close();
  errno = ENOMEM;
  return false;
}

void Ring::close() {
  const io_uring_params& p = parameters;
  if (fd >= 0) ::close(fd);
  if (sq) munmap(sq, p.sq_off.array + p.sq_entries * 4);
  if (cq) munmap(cq, p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe));
  if (sqes) munmap(sqes, sizeof *sqes);
  *this = Ring();
}

bool Ring::register_buffer(void* buffer, size_t bytes) {
  if (registered) syscall(SYS_io_uring_register, fd, IORING_UNREGISTER_BUFFERS, nullptr, 0);
  iovec vector{buffer, bytes};
  registered = syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &vector, 1) == 0;
  if (!registered) object = {};
  return registered;
}

int Ring::transfer(int opcode, int file, void* buffer, size_t bytes, int64_t offset) {
  memset(sqes, 0, sizeof *sqes);
  sqes->opcode = uint8_t(opcode);
  sqes->fd = file;
  sqes->addr = uint64_t(buffer);
  sqes->len = uint32_t(bytes);
  sqes->off = uint64_t(offset);
  unsigned* tail = number(sq, parameters.sq_off.tail);
  *number(sq, parameters.sq_off.array) = 0;
  __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
  unsigned submit = 1;
  unsigned* head = number(cq, parameters.cq_off.head);
  // It must be through when we return, whatever interrupts us.
  while (__atomic_load_n(number(cq, parameters.cq_off.tail), __ATOMIC_ACQUIRE) == *head) {
    long entered = syscall(SYS_io_uring_enter, fd, submit, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
    if (entered < 0 && errno != EINTR) return -errno;
    if (entered > 0) submit = 0;
  }
  auto* events = reinterpret_cast<io_uring_cqe*>(cq + parameters.cq_off.cqes);
  int result = events[*head & *number(cq, parameters.cq_off.ring_mask)].res;
  __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
  return result;
}

}  // namespace torture
