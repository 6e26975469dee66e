// SPDX-License-Identifier: MIT
//
// A disk moves data between itself and an object, through a mapping that io_uring has pinned once.
#include "disk.h"
#include "uring.h"

namespace {

constexpr size_t bytes = 3 * leaf + 16 * page;

// How the ring gets at the mapping. Linux 6.1 registers no file mappings but tmpfs's and hugetlb's:
// there each request pins what it needs.
struct Way {
  int read, write;
};
Way way_to(Ring& ring, char* at, size_t size) {
  int error = ring.register_buffer(at, size);
  if (error == 0) return {IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED};
  CHECK_EQ(error, EOPNOTSUPP);
  CHECK(harness::is_morselfs());
  printf("# this kernel registers no file mappings: requests pin pages one by one\n");
  return {IORING_OP_READ, IORING_OP_WRITE};
}

// Parts that begin and end inside of leaves, and what is a leaf.
constexpr struct {
  size_t at, length;
} parts[] = {{page, page}, {leaf - page, 2 * page}, {leaf + page, leaf}, {3 * leaf, 16 * page}};

void read_parts(int source, int fd) {
  for (Place place : places) {
    write_filled(fd, 1, 0, bytes);
    Ring ring;
    char* m = map_at(place, fd, bytes, rw);
    const Way way = way_to(ring, m, bytes);
    for (auto [at, length] : parts)
      CHECK_EQ(ring.transfer(way.read, source, m + at, length, off_t(at)), length);
    // Who maps it elsewhere sees it at once.
    harness::in_child([&] {
      char* r = map(SYS(open("f", O_RDONLY)), bytes, PROT_READ, MAP_SHARED);
      size_t end = 0;
      for (auto [at, length] : parts) {
        CHECK_FILLED(r + end, 1, end, at - end);
        CHECK_FILLED(r + at, 7, at, length);
        end = at + length;
      }
    });
    SYS(munmap(m, mapped_bytes(place, bytes)));
  }
}

}  // namespace

TEST(nvme_reads_into_mapping) { read_parts(fill_disk(7), make_file("f", 1, bytes)); }

TEST(nvme_reads_into_holes) {
  int disk = fill_disk(7), fd = make_sparse("f", bytes);
  Ring ring;
  char* m = map(fd, bytes, rw, MAP_SHARED);
  const Way way = way_to(ring, m, bytes);
  CHECK_EQ(ring.transfer(way.read, disk, m, bytes, 0), bytes);
  check_file(fd, 7, 0, bytes);
}

TEST(nvme_writes_out_of_mapping) {
  int disk = fill_disk(9), fd = make_file("f", 3, bytes);
  Ring ring;
  char* m = map(fd, bytes, rw, MAP_SHARED);
  const Way way = way_to(ring, m, bytes);
  CHECK_EQ(ring.transfer(way.write, disk, m, leaf + page, 0), leaf + page);
  CHECK_EQ(ring.transfer(way.write, disk, m + leaf + page, bytes - leaf - page, leaf + page),
           bytes - leaf - page);
  check_disk(disk, 3, bytes);
}

// A file on a disk, as `morsel load` has it.
TEST(nvme_reads_file_of_ext4) {
  mount_disk();
  close(make_file("disk/source", 7, bytes));
  int source = SYS(open("disk/source", O_RDWR | O_DIRECT | O_CLOEXEC));
  SYS(fsync(source));
  read_parts(source, make_file("f", 1, bytes));
  close(source);
  unmount_disk();
}
