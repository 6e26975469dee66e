// SPDX-License-Identifier: MIT
//
// io_uring with registered buffers: pins for an unlimited time.
#include "uring.h"

namespace {

constexpr size_t bytes = 2 * leaf + 16 * page;

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
