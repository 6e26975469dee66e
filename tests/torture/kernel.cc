// SPDX-License-Identifier: MIT
//
// Parts of the kernel that walk page tables or ask the file system: userfaultfd, page
// migration, /proc, soft-dirty bits, statfs, and the info ioctl.
#include <dirent.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../../uapi/morselfs.h"
#include "worker.h"

namespace torture {

// No object can be registered: its pages would come from somewhere else.
void Worker::userfault() {
  Hand* hand = any_hand();
  if (!hand || !options.morselfs) return;  // tmpfs allows it, and the next fault would wait
  Range part = any_part(*hand, hand->pages);
  begin(Kind::userfaultfd, hand->object.id, part.first, part.last);
  int fd = int(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
  if (fd < 0) return end(-errno);
  uffdio_api api{};
  api.api = UFFD_API;
  if (random.one_in(2)) api.features = 1 << 15;  // UFFD_FEATURE_WP_ASYNC of 6.7 and later
  long result = ioctl(fd, UFFDIO_API, &api);
  if (result == 0) {
    uffdio_register range{};
    range.range = {uint64_t(uintptr_t(hand->address(part.first))), part.bytes()};
    range.mode = api.features ? UFFDIO_REGISTER_MODE_WP
                              : (random.one_in(2) ? UFFDIO_REGISTER_MODE_MISSING
                                                  : UFFDIO_REGISTER_MODE_MINOR);
    result = ioctl(fd, UFFDIO_REGISTER, &range);
  }
  if (done(result) && hand->shared) fail("userfaultfd registered a shared mapping of an object");
  close(fd);  // unregisters
}

void Worker::migrate() {
  if (random.one_in(4)) {
    unsigned long node = 1;
    begin(Kind::migrate_pages);
    done(syscall(SYS_migrate_pages, 0, 64, &node, &node));
    return;
  }
  Hand* hand = any_hand();
  if (!hand) return;
  Range part = any_part(*hand, 32);
  void* pages[32];
  int nodes[32] = {}, status[32];
  for (uint32_t i = 0; i < part.pages(); i++) pages[i] = hand->address(part.first + i);
  begin(Kind::move_pages, hand->object.id, part.first, part.last);
  done(syscall(SYS_move_pages, 0, part.pages(), pages, random.one_in(4) ? nullptr : nodes, status,
               2));
}

void Worker::read_proc() {
  static constexpr struct {
    Kind kind;
    const char* file;
  } views[] = {{Kind::smaps, "smaps"},     {Kind::smaps, "smaps_rollup"},
               {Kind::maps, "maps"},       {Kind::numa_maps, "numa_maps"},
               {Kind::pagemap, "pagemap"}, {Kind::pagemap, "pagemap"}};
  auto& view = views[random.below(std::size(views))];
  const Thread& other = control->thread[random.below(control->threads)];
  const Hand& hand = other.hands[random.below(hands_per_thread)];
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", other.process.load(), view.file);
  begin(view.kind);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return end(-errno);
  ssize_t got;
  if (view.kind == Kind::pagemap) {
    uint64_t page = uintptr_t(hand.at) / page_bytes;
    got = pread(fd, buffer, 8 * random.between(1, 4096), off_t(page * 8));
  } else {
    ssize_t here;
    got = 0;
    while ((here = ::read(fd, buffer, buffer_pages * page_bytes)) > 0) got += here;
    if (here < 0) got = -1;
  }
  done(got);
  close(fd);
}

void Worker::clear_refs() {
  static constexpr char which[][2] = {"1", "2", "3", "4", "5"};
  begin(Kind::clear_refs);
  int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return end(-errno);
  done(::write(fd, which[random.below(5)], 1));
  close(fd);
}

void Worker::ask_statfs() {
  struct statfs s;
  begin(Kind::statfs);
  if (!done(fstatfs(dir, &s))) fail("statfs: %s", strerror(errno));
  if (s.f_blocks && (s.f_bfree > s.f_blocks || s.f_bavail > s.f_bfree))
    fail("statfs: %ld free blocks of %ld", long(s.f_bfree), long(s.f_blocks));
  if (s.f_ffree > s.f_files)
    fail("statfs: %ld free inodes of %ld", long(s.f_ffree), long(s.f_files));
}

void Worker::ask_info() {
  File* file = any_file();
  if (!file) return;
  morselfs_info info{};
  info.size = sizeof info;
  begin(Kind::info, file->object.id);
  if (!done(ioctl(file->fd, MORSELFS_IOC_INFO, &info))) {
    if (!options.morselfs) return;
    fail("the info ioctl: %s", strerror(errno));
  }
  const Record& record = control->records[file->object.record];
  uint64_t leaves = info.leaves_4k + info.leaves_2m * slot_pages;
  // Counted without a lock: a slot that is split or merged may be counted twice.
  bool right =
      leaves <= record.pages * uint64_t(2) + slot_pages && info.bytes <= record.pages * page_bytes;
  if (record.frozen)
    right = right && leaves >= info.bytes / page_bytes && info.bytes == record.pages * page_bytes;
  if (!right && known(file->object))
    fail(
        "info of object %u%s: %llu bytes, %llu small and %llu large leaves; it has at most %u "
        "pages",
        file->object.id, record.frozen ? ", frozen" : "", (unsigned long long)info.bytes,
        (unsigned long long)info.leaves_4k, (unsigned long long)info.leaves_2m, record.pages);
}

// What the mount tells of itself: one number per file, never negative, though it is a sum over
// CPUs.
void Worker::read_sysfs() {
  if (!options.morselfs) return;
  struct stat status;
  if (fstat(dir, &status) != 0) fail("fstat of the directory: %s", strerror(errno));
  char path[80];
  snprintf(path, sizeof path, "/sys/fs/morselfs/%u:%u", major(status.st_dev), minor(status.st_dev));
  begin(Kind::sysfs);
  DIR* list = opendir(path);
  if (!list) fail("%s: %s", path, strerror(errno));
  int files = 0;
  while (const dirent* entry = readdir(list)) {
    if (entry->d_name[0] == '.') continue;
    int fd = openat(dirfd(list), entry->d_name, O_RDONLY | O_CLOEXEC);
    char text[64] = "";
    if (fd < 0 || ::read(fd, text, sizeof text - 1) < 2 || strchr(text, '-'))
      fail("%s/%s: \"%s\", %s", path, entry->d_name, text, strerror(errno));
    close(fd);
    files++;
  }
  closedir(list);
  end(files);
}

}  // namespace torture
