// SPDX-License-Identifier: MIT
//
// dma-bufs of a file, as far as they go without a device: who may have one, what it keeps and what
// it does not, and that a mapping of it is one of the file. What devices do with them: device.cc.
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <atomic>
#include <thread>
#include <vector>

#include "huge.h"

namespace {

constexpr size_t bytes = 3 * leaf + 5 * page;

// The descriptor, or -1 with errno set.
int try_export(int fd, uint32_t flags = 0, uint64_t start = 0, uint64_t length = 0) {
  morselfs_export wish = {};
  wish.size = sizeof wish;
  wish.flags = flags;
  wish.start = start;
  wish.length = length;
  wish.fd = -1;
  return ioctl(fd, MORSELFS_IOC_EXPORT, &wish) == 0 ? wish.fd : -1;
}

void need() {
  if (!harness::is_morselfs()) SKIP("about dma-bufs of morselfs");
  if (!has_dma_bufs()) SKIP("this kernel has no dma-bufs");
}

int export_of(int fd, uint32_t flags = 0, uint64_t start = 0, uint64_t length = 0) {
  need();
  return SYS(try_export(fd, flags, start, length));
}

constexpr uint32_t read_only = MORSELFS_EXPORT_READ_ONLY;

size_t bytes_of(int dmabuf) { return size_t(SYS(lseek(dmabuf, 0, SEEK_END))); }

void sync(int dmabuf, uint64_t flags) {
  dma_buf_sync what = {flags};
  SYS(ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &what));
}

// A 2-MiB-aligned mapping.
char* map_dmabuf(int dmabuf, size_t size, int prot) {
  return map(dmabuf, size, prot, MAP_SHARED | MAP_FIXED, 0, reserve(size, leaf));
}

// Of the mount that the file is on.
long dma_bufs_of(int fd) {
  struct stat st;
  SYS(fstat(fd, &st));
  char path[64];
  snprintf(path, sizeof path, "/sys/fs/morselfs/%u:%u/dma_bufs", major(st.st_dev),
           minor(st.st_dev));
  FILE* file = fopen(path, "r");
  if (!file) FAIL("%s: %s", path, strerror(errno));
  long count = -1;
  if (fscanf(file, "%ld", &count) != 1) FAIL("%s: expected a number", path);
  fclose(file);
  return count;
}

uint64_t free_after_a_while(uint64_t wanted) {
  for (int i = 0; i < 500 && harness::free_bytes() < wanted; i++) usleep(10000);
  return harness::free_bytes();
}

}  // namespace

TEST(export_ranges) {
  int fd = make_file("f", 1, bytes - page / 2);
  need();
  const struct {
    uint64_t start, length, expected;
  } good[] = {{0, 0, bytes},
              {page, 0, bytes - page},
              {leaf, leaf, leaf},
              {0, 1, page},
              {bytes - page, 0, page},
              {0, bytes, bytes},
              {leaf - page, 2 * page, 2 * page}};
  for (const auto& range : good) {
    morselfs_export wish = {};
    wish.size = sizeof wish;
    wish.start = range.start;
    wish.length = range.length;
    SYS(ioctl(fd, MORSELFS_IOC_EXPORT, &wish));
    CHECK_EQ(wish.length, range.expected);
    CHECK_EQ(bytes_of(wish.fd), range.expected);
    CHECK_EQ(SYS(fcntl(wish.fd, F_GETFD)), FD_CLOEXEC);
    close(wish.fd);
  }
  for (auto [start, length] : {std::pair<uint64_t, uint64_t>{1, 0},
                               {page / 2, page},
                               {bytes, 0},
                               {bytes, page},
                               {0, bytes + 1},
                               {page, bytes},
                               {page, UINT64_MAX},
                               {UINT64_MAX - page + 1, 0},
                               {UINT64_MAX - page + 1, page}})
    SYS_ERR(try_export(fd, 0, start, length), EINVAL);
  SYS_ERR(try_export(fd, 2), EINVAL);
  morselfs_export wish = {};
  wish.size = sizeof wish - 1;
  SYS_ERR(ioctl(fd, MORSELFS_IOC_EXPORT, &wish), EINVAL);
  wish.size = sizeof wish;
  wish.reserved = 1;
  SYS_ERR(ioctl(fd, MORSELFS_IOC_EXPORT, &wish), EINVAL);
  SYS_ERR(ioctl(fd, MORSELFS_IOC_EXPORT, nullptr), EFAULT);
  int empty = make_sparse("empty", 0);
  SYS_ERR(try_export(empty), EINVAL);
}

// The answer can't be written: no descriptor is left behind, and nothing is held.
TEST(export_answer_that_cannot_be_written) {
  int fd = make_file("f", 1, leaf);
  need();
  auto* wish = static_cast<morselfs_export*>(shared_memory(page));
  wish->size = sizeof *wish;
  SYS(mprotect(wish, page, PROT_READ));
  int next = dup(fd);
  close(next);
  SYS_ERR(ioctl(fd, MORSELFS_IOC_EXPORT, wish), EFAULT);
  int again = dup(fd);
  CHECK_EQ(again, next);
  SYS(ioctl(fd, MORSELFS_IOC_SEAL));
}

TEST(export_rights) {
  make_file("f", 1, bytes);
  need();
  int reader = SYS(open("f", O_RDONLY)), writer = SYS(open("f", O_WRONLY)),
      both = SYS(open("f", O_RDWR));
  SYS_ERR(try_export(reader), EBADF);
  SYS_ERR(try_export(writer), EBADF);
  SYS_ERR(try_export(writer, read_only), EBADF);
  for (int fd : {reader, both}) close(export_of(fd, read_only));
  close(export_of(both));
  int path = SYS(open("f", O_PATH));
  SYS_ERR(try_export(path, read_only), EBADF);
  int directory = SYS(open(".", O_RDONLY));
  SYS_ERR(try_export(directory, read_only), ENOTTY);
}

TEST(export_mapping_has_the_exports_rights) {
  int fd = make_file("f", 1, bytes);
  int buffer = export_of(fd, read_only);
  SYS_ERR(mmap(nullptr, bytes, rw, MAP_SHARED, buffer, 0), EACCES);
  char* m = map_dmabuf(buffer, bytes, PROT_READ);
  SYS_ERR(mprotect(m, page, rw), EACCES);
  SYS_ERR(mmap(nullptr, bytes, PROT_READ | PROT_EXEC, MAP_SHARED, buffer, 0), EPERM);
  SYS_ERR(mprotect(m, page, PROT_READ | PROT_EXEC), EACCES);
  CHECK_SIGNAL_WRITE(m, SIGSEGV);
  CHECK_PAGES(m, 1, 0, bytes);
}

// It is the file that is mapped: grafted, at the right place, seen by others at once.
TEST(export_mapping_is_grafted) {
  int fd = make_file("f", 1, bytes);
  for (uint64_t start : {uint64_t(0), uint64_t(leaf), uint64_t(3 * page)}) {
    int buffer = export_of(fd, 0, start);
    size_t size = bytes_of(buffer);
    char* m = map(buffer, size, rw, MAP_SHARED | MAP_FIXED, 0, reserve(size, leaf, start % leaf));
    close(buffer);
    CHECK_PAGES(m, 1, start, size);
    CHECK_EQ(info(fd).self_grafted_bytes, size);
    fill(m, 2, start, page);
    check_file(fd, 2, start, page);
    write_filled(fd, 1, start, page);
    CHECK_FILLED(m, 1, start, page);
    SYS(ftruncate(fd, off_t(start + page)));
    CHECK_SIGNAL_READ(m + page, SIGBUS);
    SYS(munmap(m, size));
    SYS(ftruncate(fd, 0));
    write_filled(fd, 1, 0, bytes);
  }
}

TEST(export_mapping_beyond_its_end) {
  int fd = make_file("f", 1, bytes);
  int buffer = export_of(fd, 0, leaf, leaf);
  SYS_ERR(mmap(nullptr, leaf + page, rw, MAP_SHARED, buffer, 0), EINVAL);
  SYS_ERR(mmap(nullptr, leaf, rw, MAP_SHARED, buffer, page), EINVAL);
  char* m = map(buffer, page, rw, MAP_SHARED, leaf - page);
  CHECK_PAGES(m, 1, 2 * leaf - page, page);
}

// What the dma-buf has not, its mapping can't be moved to.
TEST(export_mapping_stays_in_its_range) {
  int fd = make_file("f", 1, bytes);
  int buffer = export_of(fd, 0, leaf, leaf);
  char* m = map_dmabuf(buffer, leaf, rw);
  SYS(remap_file_pages(m, page, 0, 2 * leaf / page - 1, 0));
  CHECK_FILLED(m, 1, 2 * leaf - page, page);
  for (size_t elsewhere : {size_t(0), leaf / page - 1, 2 * leaf / page})
    for (size_t at : {page, 5 * page})
      SYS_ERR(remap_file_pages(m + at, page, 0, elsewhere, 0), EINVAL);
  SYS_ERR(mremap(m + 8 * page, page, 2 * page, MREMAP_MAYMOVE), EFAULT);
}

// Holes get frames, as by a touch, and what they cost is charged.
TEST(export_fills_holes) {
  for (uint32_t flags : {0u, read_only}) {
    int fd = make_sparse("f", bytes);
    uint64_t before = harness::free_bytes();
    SYS(pwrite(fd, "x", 1, leaf + page));
    int buffer = export_of(fd, flags, page, 2 * leaf);
    struct stat s;
    SYS(fstat(fd, &s));
    CHECK(size_t(s.st_blocks) * 512 >= 2 * leaf);
    CHECK(harness::free_bytes() <= before - 2 * leaf);
    char* m = map_dmabuf(buffer, 2 * leaf, PROT_READ);
    CHECK_ZERO(m, leaf);
    CHECK_EQ(m[leaf], 'x');
    SYS(munmap(m, 2 * leaf));
    close(buffer);
    close(fd);
    SYS(unlink("f"));
    CHECK_EQ(free_after_a_while(before), before);
  }
}

// A mount of its own at "n", which the test can fill, and unmount.
static void mount_other(const std::string& size) {
  SYS(mkdir("n", 0755));
  const std::string options = "size=" + size + harness::huge_option();
  SYS(mount("none", "n", "morselfs", 0, options.c_str()));
}

TEST(export_without_room) {
  need();
  mount_other("4m");
  int fd = make_sparse("n/f", 8 * leaf);
  SYS_ERR(try_export(fd), ENOSPC);
  SYS_ERR(try_export(fd, read_only), ENOSPC);
  close(export_of(fd, 0, 0, page));
  SYS(ftruncate(fd, 0));
  close(fd);
  SYS(umount("n"));
}

// What is removed from the file is not there any more, and is held until the dma-buf goes: another
// file gets other memory. A new dma-buf has the new memory.
TEST(export_survives_removal) {
  auto punch = [](int fd) {
    SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(page), off_t(leaf)));
  };
  auto truncate = [](int fd) {
    SYS(ftruncate(fd, off_t(page)));
    SYS(ftruncate(fd, off_t(bytes)));
  };
  for (void (*remove)(int) : {+punch, +truncate}) {
    for (uint32_t flags : {0u, read_only}) {
      int fd = make_file("f", 1, bytes);
      int buffer = export_of(fd, flags);
      remove(fd);
      check_file_zero(fd, page, leaf);
      write_filled(fd, 2, page, leaf);
      int again = export_of(fd, flags);
      char* m = map_dmabuf(again, bytes, PROT_READ);
      CHECK_PAGES(m + page, 2, page, leaf);
      SYS(munmap(m, bytes));
      close(buffer);
      remove(fd);
      close(again);
      check_file_zero(fd, page, leaf);
      close(fd);
      SYS(unlink("f"));
    }
  }
}

// It holds the file open, whatever becomes of its name; when it goes, all goes.
TEST(export_holds_the_file) {
  uint64_t before = harness::free_bytes();
  int fd = make_file("f", 1, bytes);
  int buffer = export_of(fd);
  close(fd);
  SYS(unlink("f"));
  CHECK(harness::free_bytes() < before);
  char* m = map_dmabuf(buffer, bytes, rw);
  CHECK_PAGES(m, 1, 0, bytes);
  close(buffer);
  CHECK_PAGES(m, 1, 0, bytes);
  SYS(munmap(m, bytes));
  CHECK_EQ(free_after_a_while(before), before);
}

TEST(export_is_counted) {
  int fd = make_file("f", 1, bytes);
  need();
  long before = dma_bufs_of(fd);
  int one = export_of(fd), two = export_of(fd, read_only), copy = dup(one);
  CHECK_EQ(dma_bufs_of(fd), before + 2);
  close(one);
  CHECK_EQ(dma_bufs_of(fd), before + 2);
  close(copy);
  CHECK_EQ(dma_bufs_of(fd), before + 1);
  close(two);
  CHECK_EQ(dma_bufs_of(fd), before);
  SYS_ERR(try_export(fd, 0, bytes), EINVAL);
  CHECK_EQ(dma_bufs_of(fd), before);
}

TEST(export_keeps_mount_and_module_busy) {
  need();
  mount_other("64m");
  int fd = make_file("n/f", 1, bytes);
  int buffer = export_of(fd);
  close(fd);
  SYS_ERR(umount("n"), EBUSY);
  // Of a mount that is gone from the tree it is what keeps the module.
  SYS(umount2("n", MNT_DETACH));
  long got = syscall(SYS_delete_module, "morselfs", O_NONBLOCK);
  CHECK(got == -1 && (errno == EWOULDBLOCK || errno == EBUSY));
  char* m = map_dmabuf(buffer, bytes, rw);
  CHECK_PAGES(m, 1, 0, bytes);
  SYS(munmap(m, bytes));
  close(buffer);
}

// A list that is kept, of a dma-buf that is closed, keeps nobody from anything.
TEST(export_is_nothing_when_closed) {
  need();
  mount_other("64m");
  int fd = make_file("n/f", 1, bytes);
  for (uint32_t flags : {0u, read_only}) close(export_of(fd, flags));
  set_policy(fd, MORSELFS_HUGE_NEVER);
  int small = make_sparse("n/small", 0);
  set_policy(small, MORSELFS_HUGE_NEVER);
  write_filled(small, 1, 0, bytes);
  close(export_of(small));
  promote_all(small);
  close(export_of(small));
  SYS(ioctl(small, MORSELFS_IOC_SEAL));
  check_file(small, 1, 0, bytes);
  SYS(unlink("n/small"));
  close(small);
  close(fd);
  SYS(umount("n"));
}

// Who holds a dma-buf holds the pages: they are not moved.
TEST(export_keeps_pages_where_they_are) {
  int fd = make_sparse("f", 0);
  need();
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
  set_policy(fd, MORSELFS_HUGE_NEVER);
  write_filled(fd, 1, 0, bytes);
  int buffer = export_of(fd, 0, leaf, leaf);
  morselfs_range moved = promote(fd, leaf, leaf);
  CHECK_EQ(moved.done_bytes, 0);
  CHECK_EQ(moved.busy_bytes, leaf);
  int again = export_of(fd, 0, leaf, leaf);
  close(buffer);
  CHECK_EQ(promote(fd, leaf, leaf).busy_bytes, leaf);
  close(again);
  promote_all(fd);
  CHECK_EQ(info(fd).leaves_2m, 3);
  // Over the same frames, a large leaf may become small ones.
  buffer = export_of(fd);
  demote_all(fd);
  CHECK_EQ(promote(fd).busy_bytes, 3 * leaf);
  close(buffer);
  promote_all(fd);
  check_file(fd, 1, 0, bytes);
}

TEST(export_and_seals) {
  int fd = make_file("f", 1, bytes);
  int buffer = export_of(fd);
  SYS_ERR(ioctl(fd, MORSELFS_IOC_SEAL), EBUSY);
  char* m = map_dmabuf(buffer, bytes, rw);
  close(buffer);
  SYS_ERR(ioctl(fd, MORSELFS_IOC_SEAL), EBUSY);
  SYS(munmap(m, bytes));
  buffer = export_of(fd, read_only);
  SYS_ERR(ioctl(fd, MORSELFS_IOC_SEAL), EBUSY);  // its pages are held
  close(buffer);
  close(export_of(fd));
  SYS(ioctl(fd, MORSELFS_IOC_SEAL));
  SYS_ERR(try_export(fd), EPERM);
  buffer = export_of(fd, read_only);
  m = map_dmabuf(buffer, bytes, PROT_READ);
  CHECK_PAGES(m, 1, 0, bytes);
  SYS(ioctl(fd, MORSELFS_IOC_SEAL));
}

TEST(export_and_flags) {
  int fd = make_file("f", 1, bytes);
  need();
  for (long flag : {FS_IMMUTABLE_FL, FS_APPEND_FL}) {
    const long none = 0;
    SYS(ioctl(fd, FS_IOC_SETFLAGS, &flag));
    SYS_ERR(try_export(fd), EPERM);
    close(export_of(fd, read_only));
    SYS(ioctl(fd, FS_IOC_SETFLAGS, &none));
    close(export_of(fd));
  }
}

TEST(export_sync) {
  int fd = make_file("f", 1, bytes);
  for (uint32_t flags : {0u, read_only}) {
    int buffer = export_of(fd, flags);
    for (uint64_t direction : {DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW}) {
      sync(buffer, DMA_BUF_SYNC_START | direction);
      sync(buffer, DMA_BUF_SYNC_END | direction);
    }
    close(buffer);
  }
}

// More different ranges than the object keeps lists of.
TEST(export_many_ranges) {
  int fd = make_file("f", 1, bytes);
  need();
  std::vector<int> buffers;
  for (size_t at = 0; at < 64 * page; at += page) buffers.push_back(export_of(fd, 0, at, leaf));
  for (int buffer : buffers) close(buffer);
  for (size_t at = 0; at < 64 * page; at += page) close(export_of(fd, read_only, at, leaf));
  SYS(ioctl(fd, MORSELFS_IOC_SEAL));
}

// Exports, removals, moves and seals at the same time. What each dma-buf's mapping shows is the
// file's, and in the end nothing is held.
TEST_LIMIT(export_race, 300) {
  uint64_t before = harness::free_bytes();
  int fd = make_file("f", 1, bytes);
  need();
  std::atomic<bool> stop = false;
  std::atomic<unsigned> exported = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++)
    threads.emplace_back([&, i] {
      for (unsigned n = 0; !stop; n++) {
        uint64_t start = i % 2 ? 0 : (n % 8) * page;
        int buffer = try_export(fd, n % 3 ? 0 : read_only, start, leaf);
        if (buffer < 0 && errno == EINVAL) continue;  // the file is short just now
        if (buffer < 0) FAIL("export: expected success, seen %s", strerror(errno));
        exported++;
        if (n % 5 == 0) {
          char* m = map(buffer, page, PROT_READ, MAP_SHARED);
          uint64_t seen = 0;
          if (probe_read(m, &seen) == 0 && seen != 0 && seen != word_at(1, start))
            FAIL("expected nothing, or the file's word, seen 0x%llx", (unsigned long long)seen);
          SYS(munmap(m, page));
        }
        close(buffer);
      }
    });
  for (unsigned n = 0; n < 60; n++) {
    switch (n % 4) {
      case 0:
        SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, off_t(leaf / 2)));
        break;
      case 1:
        SYS(ftruncate(fd, off_t(3 * page)));
        break;
      case 2:
        (void)promote(fd);
        break;
      default:
        (void)demote(fd);
        break;
    }
    SYS(ftruncate(fd, off_t(bytes)));
    write_filled(fd, 1, 0, leaf + 8 * page);
    usleep(2000);
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK(exported > 20);
  check_file(fd, 1, 0, leaf);
  SYS(ioctl(fd, MORSELFS_IOC_SEAL));
  close(fd);
  SYS(unlink("f"));
  CHECK_EQ(free_after_a_while(before), before);
}
