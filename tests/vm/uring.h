// SPDX-License-Identifier: MIT
//
// io_uring, by its system calls.
#ifndef MORSELS_TESTS_URING_H
#define MORSELS_TESTS_URING_H

#include <sys/syscall.h>
#include <sys/uio.h>

#include <linux/io_uring.h>

#include "memory.h"

// A ring of one entry, used one request at a time.
class Ring {
 public:
  Ring() {
    io_uring_params p{};
    fd = int(syscall(SYS_io_uring_setup, 1, &p));
    if (fd < 0) SKIP("no io_uring here: %s", strerror(errno));
    size_t sq_bytes = p.sq_off.array + p.sq_entries * 4;
    size_t cq_bytes = p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe);
    sq = map(fd, sq_bytes, rw, MAP_SHARED | MAP_POPULATE, IORING_OFF_SQ_RING);
    cq = map(fd, cq_bytes, rw, MAP_SHARED | MAP_POPULATE, IORING_OFF_CQ_RING);
    sqes = reinterpret_cast<io_uring_sqe*>(
        map(fd, sizeof(io_uring_sqe), rw, MAP_SHARED | MAP_POPULATE, IORING_OFF_SQES));
    offsets = p;
  }

  int register_buffer(void* at, size_t size) {
    iovec buffer{at, size};
    return syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &buffer, 1) ? errno : 0;
  }

  void unregister() {
    SYS(syscall(SYS_io_uring_register, fd, IORING_UNREGISTER_BUFFERS, nullptr, 0));
  }

  // Reads from or writes to `file` with the registered buffer; bytes or -errno.
  int transfer(int opcode, int file, void* at, size_t size, off_t offset) {
    memset(sqes, 0, sizeof *sqes);
    sqes->opcode = uint8_t(opcode);
    sqes->fd = file;
    sqes->addr = uintptr_t(at);
    sqes->len = uint32_t(size);
    sqes->off = uint64_t(offset);
    return submit();
  }

  // Hands the kernel a buffer, and reads from `file` into whatever it then picks.
  int read_into_provided(int file, void* at, size_t size) {
    memset(sqes, 0, sizeof *sqes);
    sqes->opcode = IORING_OP_PROVIDE_BUFFERS;
    sqes->fd = 1;  // so many buffers
    sqes->addr = uintptr_t(at);
    sqes->len = uint32_t(size);
    if (int error = submit(); error < 0) return error;
    memset(sqes, 0, sizeof *sqes);
    sqes->opcode = IORING_OP_READ;
    sqes->flags = IOSQE_BUFFER_SELECT;
    sqes->fd = file;
    sqes->len = uint32_t(size);
    return submit();
  }

 private:
  int submit() {
    unsigned* tail = word(sq, offsets.sq_off.tail);
    word(sq, offsets.sq_off.array)[0] = 0;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    SYS(syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0));
    unsigned* head = word(cq, offsets.cq_off.head);
    unsigned mask = *word(cq, offsets.cq_off.ring_mask);
    auto* events = reinterpret_cast<io_uring_cqe*>(cq + offsets.cq_off.cqes);
    int result = events[*head & mask].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
  }

  int fd;
  char *sq, *cq;
  io_uring_sqe* sqes;
  io_uring_params offsets;
  static unsigned* word(char* ring, unsigned at) { return reinterpret_cast<unsigned*>(ring + at); }
};

#endif
