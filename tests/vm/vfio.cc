// SPDX-License-Identifier: MIT
//
// A device of a user's, by VFIO: memory is pinned for as long as it stays mapped for the device,
// whatever becomes of the file meanwhile.
#include "vfio.h"

#include <sys/mount.h>

#include "huge.h"

namespace {

constexpr size_t bytes = 2 * leaf + 16 * page;
constexpr uint64_t io = 1 << 30;  // where the device sees the mapping
constexpr size_t half = Edu::at_once;

// Its IOMMU will say so in the log, which is to be searched for such faults.
void expect_fault(uint64_t at) {
  char line[80];
  const int length = snprintf(line, sizeof line, "vm-vfio: expects a DMA fault at 0x%llx\n",
                              (unsigned long long)at);
  int log = SYS(open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
  CHECK_EQ(write(log, line, size_t(length)), length);
  close(log);
}

// After the change, the device still reads what was there, and writes to nobody else.
template <class Change>
void pinned_across(Change change) {
  Edu edu;
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  edu.map_dma(m, io, bytes);
  change(fd, m);
  int other = make_file("g", 2, bytes);  // wants memory
  char* own = map(-1, page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  edu.map_dma(own, 2 * io, page);
  for (size_t from : {size_t(0), leaf - half, leaf, bytes - half}) {
    edu.copy(io + from, 2 * io);
    CHECK_FILLED(own, 1, from, half);
  }
  fill(own, 3, 0, half);
  for (size_t to : {size_t(0), leaf - half, leaf, bytes - half}) edu.copy(2 * io, io + to);
  edu.copy(io + leaf, 2 * io + half);
  CHECK_FILLED(own + half, 3, 0, half);
  check_file(other, 2, 0, bytes);
  edu.unmap_dma(io, bytes);
  edu.unmap_dma(2 * io, page);
}

int make_small(const char* name, uint64_t seed) {
  int fd = make_sparse(name, 0);
  set_policy(fd, MORSELFS_HUGE_NEVER);
  write_filled(fd, seed, 0, bytes);
  return fd;
}

}  // namespace

TEST(vfio_copies_within_mapping) {
  Edu edu;
  int fd = make_file("f", 1, bytes);
  for (Place place : {Place::fits, Place::odd}) {
    char* m = map_at(place, fd, bytes, rw);
    edu.map_dma(m, io, bytes);
    edu.copy(io + page, io + leaf + page);
    edu.copy(io + leaf - half, io + 2 * leaf);
    harness::in_child([&] {
      char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
      CHECK_FILLED(r + leaf + page, 1, page, half);
      CHECK_FILLED(r + 2 * leaf, 1, leaf - half, half);
      fill(m + page, 4, 0, half);  // and the device sees what others write
    });
    edu.copy(io + page, io + leaf + page);
    CHECK_FILLED(m + leaf + page, 4, 0, half);
    edu.unmap_dma(io, bytes);
    SYS(munmap(m, bytes));
    write_filled(fd, 1, 0, bytes);
  }
}

TEST(vfio_fills_holes) {
  Edu edu;
  int fd = make_sparse("f", bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  edu.map_dma(m, io, bytes);
  fill(m, 1, 0, half);
  edu.copy(io, io + leaf + page);
  check_file(fd, 1, 0, half);
  check_file_zero(fd, half, leaf + page - half);
  char* r = map(fd, bytes, PROT_READ, MAP_SHARED);
  CHECK_FILLED(r + leaf + page, 1, 0, half);
}

// Nobody gets at a file by a device that he may not write to.
TEST(vfio_respects_read_only) {
  Edu edu;
  int fd = make_file("f", 1, bytes);
  close(fd);
  char* r = map(SYS(open("f", O_RDONLY)), bytes, PROT_READ, MAP_SHARED);
  CHECK_PAGES(r, 1, 0, bytes);
  CHECK_EQ(edu.try_map_dma(r, io, bytes, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE), EFAULT);
  edu.map_dma(r, io, bytes, VFIO_DMA_MAP_FLAG_READ);
  edu.load(io + leaf);
  expect_fault(io + page);
  edu.store(io + page);
  CHECK_FILLED(r, 1, 0, bytes);
}

TEST(vfio_pin_across_truncate) {
  pinned_across([](int fd, char* m) {
    SYS(ftruncate(fd, 0));
    CHECK_SIGNAL_READ(m, SIGBUS);
  });
}

TEST(vfio_pin_across_punch) {
  pinned_across([](int fd, char* m) {
    SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes));
    CHECK_ZERO(m, bytes);
  });
}

TEST(vfio_pin_across_unlink_and_unmap) {
  pinned_across([](int fd, char* m) {
    SYS(unlink("f"));
    SYS(munmap(m, bytes));
    SYS(close(fd));
  });
}

TEST(vfio_pin_across_unmount) {
  if (!harness::is_morselfs()) SKIP("only morselfs has mounts to spare");
  if (harness::in_pool()) SKIP("the unmount of a pool waits for pins");
  Edu edu;
  SYS(mkdir("n", 0755));
  SYS(mount("none", "n", "morselfs", 0, ("size=64m" + harness::huge_option()).c_str()));
  int fd = make_file("n/f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  edu.map_dma(m, io, bytes);
  SYS(munmap(m, bytes));
  SYS(close(fd));
  SYS(umount("n"));
  int other = make_file("g", 2, bytes);
  char* own = map(-1, page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  edu.map_dma(own, 2 * io, page);
  edu.copy(io + leaf, 2 * io);
  CHECK_FILLED(own, 1, leaf, half);
  edu.copy(2 * io, io + page);
  check_file(other, 2, 0, bytes);
}

// What a device has is not moved to other frames.
TEST(vfio_pin_against_promotion) {
  Edu edu;
  int fd = make_small("f", 1);
  char* m = map_at(Place::fits, fd, bytes, rw);
  edu.map_dma(m + leaf, io, leaf);
  for (int i = 0; i < 3; i++) {
    morselfs_range range = promote(fd);
    if (!harness::leaves_move()) CHECK(range.busy_bytes >= leaf);
  }
  fill(m + leaf, 2, 0, half);
  edu.copy(io, io + page);
  CHECK_FILLED(m + leaf + page, 2, 0, half);
  edu.unmap_dma(io, leaf);
  promote_all(fd);  // nobody holds it any more
  CHECK_FILLED(m + leaf + page, 2, 0, half);
  CHECK_PAGES(m, 1, 0, leaf);

  edu.map_dma(m, io, 2 * leaf);
  demote_all(fd);  // the same frames, in small leaves
  fill(m, 3, 0, half);
  edu.copy(io, io + leaf);
  CHECK_FILLED(m + leaf, 3, 0, half);
}

// As long as a device may write, nobody can promise that contents stay.
TEST(vfio_pin_keeps_from_sealing) {
  if (!harness::is_morselfs()) SKIP("only morselfs has seals");
  Edu edu;
  int fd = make_file("f", 1, bytes);
  char* m = map(fd, bytes, rw, MAP_SHARED);
  edu.map_dma(m, io, bytes);
  SYS(munmap(m, bytes));
  SYS_ERR(ioctl(fd, MORSELFS_IOC_SEAL), EBUSY);
  edu.copy(io, io + page);
  edu.unmap_dma(io, bytes);
  SYS(ioctl(fd, MORSELFS_IOC_SEAL));
  check_file(fd, 1, 2 * page, bytes - 2 * page);
}

// Its pins go with the process. That all memory is back, the end of each test looks for.
TEST(vfio_pin_goes_with_sigkill) {
  auto* gate = shared<Gate>();
  pid_t child = harness::spawn([&] {
    Edu edu;
    int fd = make_file("f", 1, bytes);
    edu.map_dma(map(fd, bytes, rw, MAP_SHARED), io, bytes);
    gate->open();
    pause();
  });
  gate->wait();
  SYS(kill(child, SIGKILL));
  harness::join_killed(child, SIGKILL);
  int fd = SYS(open("f", O_RDWR));
  check_file(fd, 1, 0, bytes);
  if (harness::is_morselfs()) SYS(ioctl(fd, MORSELFS_IOC_SEAL));
}
