// SPDX-License-Identifier: MIT
//
// io_uring with registered buffers: pins for an unlimited time.
#include <sys/syscall.h>
#include <sys/uio.h>

#include <linux/io_uring.h>

#include "memory.h"

namespace {

constexpr size_t bytes = 2 * leaf + 16 * page;

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

int make_source() {  // on the mount itself
  int fd = make_file("source", 7, bytes);
  return fd;
}

}  // namespace

TEST(uring_reads_into_mapping) {
  Ring ring;
  int source = make_source(), fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_EQ(ring.transfer(IORING_OP_READ, source, m + leaf - page, 3 * page, leaf - page), 3 * page);
  CHECK_FILLED(m + leaf - page, 7, leaf - page, 3 * page);
  check_file(fd, 1, 0, leaf - page);
  check_file(fd, 7, leaf - page, 3 * page);
  CHECK_EQ(ring.transfer(IORING_OP_WRITE, source, m, page, 0), page);
  check_file(source, 1, 0, page);
}

TEST(uring_read_only_mapping_is_safe) {
  Ring ring;
  int source = make_source(), fd = make_file("f", 1, bytes);
  int reader = SYS(open("f", O_RDONLY));
  for (int from : {fd, reader}) {
    char* r = map(from, bytes, PROT_READ, MAP_SHARED);
    CHECK_PAGES(r, 1, 0, bytes);
    CHECK_EQ(ring.transfer(IORING_OP_READ, source, r + leaf, page, 0), -EFAULT);
    CHECK(ring.register_buffer(r, bytes) != 0);  // it would be written to
    CHECK_FILLED(r, 1, 0, bytes);
  }
  if (harness::disk().empty()) return;
  int disk = SYS(open(harness::disk().c_str(), O_RDWR | O_DIRECT));
  char* r = map(reader, bytes, PROT_READ, MAP_SHARED);
  CHECK_PAGES(r, 1, 0, bytes);
  CHECK_EQ(ring.transfer(IORING_OP_READ, disk, r + leaf, page, 0), -EFAULT);
  CHECK_FILLED(r, 1, 0, bytes);
}

TEST(uring_provided_buffer) {
  Ring ring;
  int source = make_source(), fd = make_file("f", 1, bytes);
  int reader = SYS(open("f", O_RDONLY));
  for (int from : {fd, reader}) {
    char* r = map(from, bytes, PROT_READ, MAP_SHARED);
    CHECK_PAGES(r, 1, 0, bytes);
    CHECK_EQ(ring.read_into_provided(source, r + leaf, page), -EFAULT);
    CHECK_FILLED(r, 1, 0, bytes);
  }
  char* m = map(fd, bytes, rw, MAP_SHARED);
  CHECK_EQ(ring.read_into_provided(source, m, 2 * page), 2 * page);
  CHECK_FILLED(m, 7, 0, 2 * page);
}

// Pinned for as long as the ring lives, over the end of the data. Linux 6.1 allows
// it for tmpfs and hugetlbfs only.
TEST(uring_registered_buffer_outlives_data) {
  Ring ring;
  int source = make_source(), fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  if (int error = ring.register_buffer(m, bytes)) {
    CHECK_EQ(error, EOPNOTSUPP);
    CHECK(harness::is_morselfs());
    CHECK_FILLED(m, 1, 0, bytes);
    SKIP("this kernel registers no file mappings");
  }
  CHECK_EQ(ring.transfer(IORING_OP_READ_FIXED, source, m + leaf, leaf, leaf), leaf);
  CHECK_FILLED(m + leaf, 7, leaf, leaf);
  check_file(fd, 7, leaf, leaf);
  SYS(ftruncate(fd, 0));
  int other = make_file("g", 2, bytes);
  // Into pages that belong to nobody now but to the ring.
  CHECK_EQ(ring.transfer(IORING_OP_READ_FIXED, source, m, bytes, 0), bytes);
  check_file(other, 2, 0, bytes);
  CHECK_SIGNAL_READ(m, SIGBUS);
  SYS(ftruncate(fd, bytes));
  CHECK_ZERO(m, bytes);
  CHECK_EQ(ring.transfer(IORING_OP_READ_FIXED, source, m, bytes, 0), bytes);
  CHECK_ZERO(m, bytes);
  SYS(munmap(m, bytes));
  check_file(other, 2, 0, bytes);
}

// As long as the kernel may read into the buffer, nobody can promise that contents stay.
TEST(uring_registered_buffer_keeps_from_sealing) {
  if (!harness::is_morselfs()) SKIP("only morselfs has seals");
  Ring ring;
  int source = make_source(), fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  if (ring.register_buffer(m, bytes) != 0) SKIP("this kernel registers no file mappings");
  SYS(munmap(m, bytes));
  SYS_ERR(ioctl(fd, MORSELFS_IOC_SEAL), EBUSY);
  CHECK_EQ(ring.transfer(IORING_OP_READ_FIXED, source, m + leaf, page, leaf), page);
  check_file(fd, 7, leaf, page);
  ring.unregister();
  SYS(ioctl(fd, MORSELFS_IOC_SEAL));
  check_file(fd, 7, leaf, page);
}
