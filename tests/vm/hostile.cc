// SPDX-License-Identifier: MIT
//
// Arguments that nobody means well with, and users who may not do what they try.
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include "../conformance/files.h"

namespace {

constexpr size_t bytes = leaf + 3 * page;

// Root of a user namespace of one's own, with a mount namespace to go with it.
void become_root_of_a_namespace() {
  SYS(setresgid(65534, 65534, 65534));
  SYS(setresuid(65534, 65534, 65534));
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) SKIP("no user namespaces: %s", strerror(errno));
  SYS(prctl(PR_SET_DUMPABLE, 1));
  int map = SYS(open("/proc/self/uid_map", O_WRONLY));
  CHECK_EQ(write(map, "0 65534 1", 9), 9);
  close(map);
  CHECK_EQ(geteuid(), 0);
}

// A word of every kind that fsconfig takes.
void try_all_kinds(int context, const char* key) {
  const std::string longest(255, '9'), too_long(5000, 'x');
  int fd = SYS(open(".", O_RDONLY | O_DIRECTORY));
  for (const char* value :
       {"", "%", "-1", "%s%n%x", "18446744073709551616", "1k1", "always,never", longest.c_str()})
    (void)!syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0);
  CHECK(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, too_long.c_str(), 0) != 0);
  CHECK(syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, key, nullptr, 0) != 0);
  CHECK(syscall(SYS_fsconfig, context, FSCONFIG_SET_BINARY, key, longest.data(), 255) != 0);
  CHECK(syscall(SYS_fsconfig, context, FSCONFIG_SET_PATH, key, ".", AT_FDCWD) != 0);
  CHECK(syscall(SYS_fsconfig, context, FSCONFIG_SET_PATH_EMPTY, key, "", fd) != 0);
  CHECK(syscall(SYS_fsconfig, context, FSCONFIG_SET_FD, key, nullptr, fd) != 0);
  CHECK(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, MAP_FAILED, 0) != 0);
  close(fd);
}

constexpr const char* keys[] = {"size", "nr_blocks", "nr_inodes", "mode",   "uid",
                                "gid",  "huge",      "nonsense",  "nosize", ""};

}  // namespace

TEST(hostile_mount_in_a_user_namespace) {
  if (!harness::is_morselfs()) SKIP("tmpfs may be mounted by anybody");
  SYS(chmod(".", 0777));
  SYS(mkdir("n", 0777));
  harness::in_child([] {
    become_root_of_a_namespace();
    for (const char* options : {"", "size=1m", "size=1m,uid=0"})
      SYS_ERR(mount("none", "n", "morselfs", 0, options), EPERM);
    // The options may be said, the mount is refused.
    int context = int(syscall(SYS_fsopen, "morselfs", FSOPEN_CLOEXEC));
    if (context < 0) {
      CHECK_EQ(errno, EPERM);
      return;
    }
    for (const char* key : keys) try_all_kinds(context, key);
    SYS_ERR(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), EPERM);
    SYS_ERR(syscall(SYS_fsmount, context, 0, 0), EINVAL);
    close(context);
    // One's own copy of the mount is one's own; its limits are not.
    SYS_ERR(mount(nullptr, harness::mount_dir().c_str(), nullptr, MS_REMOUNT, "size=1g"), EPERM);
  });
}

// Values are refused one by one; what was refused leaves nothing behind.
TEST(hostile_options) {
  if (!harness::is_morselfs()) SKIP("tmpfs has other options");
  int context = int(syscall(SYS_fsopen, "morselfs", FSOPEN_CLOEXEC));
  if (context < 0) SKIP("can't mount here: %s", strerror(errno));
  for (const char* key : keys) try_all_kinds(context, key);
  for (const char* key : keys)  // most of them took one of the values: the last one counts
    (void)!syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, "0", 0);
  close(context);
  context = SYS(int(syscall(SYS_fsopen, "morselfs", FSOPEN_CLOEXEC)));
  SYS(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "size", "1m", 0));
  SYS(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
  int mounted = SYS(int(syscall(SYS_fsmount, context, 0, 0)));
  struct statfs s;
  SYS(fstatfs(mounted, &s));
  CHECK_EQ(s.f_blocks, 256);
  close(mounted);
  close(context);
}

// All numbers of our type, sizes and directions: known ones say what is wrong, others
// are not known.
TEST(hostile_ioctls) {
  int fd = make_file("f", 1, bytes);
  (void)info(fd);
  int dir = SYS(open(".", O_RDONLY | O_DIRECTORY)), path = SYS(open("f", O_PATH));
  SYS(symlink("f", "s"));
  int link = SYS(open("s", O_PATH | O_NOFOLLOW));
  SYS(mkfifo("p", 0600));
  int pipe = SYS(open("p", O_RDWR));
  auto* memory = map(-1, page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  constexpr size_t sizes[] = {0, 1, 8, sizeof(morselfs_info), 4096, 16383};
  for (unsigned number = 0; number < 256; number++)
    for (unsigned direction : {_IOC_NONE, _IOC_READ, _IOC_WRITE, _IOC_READ | _IOC_WRITE})
      for (size_t size : sizes) {
        unsigned command = unsigned(_IOC(direction, 'm', number, size));
        if (command == MORSELFS_IOC_SEAL) continue;  // takes no argument
        memset(memory, 0xff, page);                  // sizes and numbers that can't be
        if (ioctl(fd, command, memory) != -1) FAIL("ioctl 0x%x: expected an error", command);
        // The info ioctl, the two that move slots, and the export as a dma-buf.
        bool known =
            (number == 1 || (number >= 4 && number <= 6)) && direction == (_IOC_READ | _IOC_WRITE);
        CHECK_EQ(errno, known ? EINVAL : ENOTTY);
        CHECK(memory[0] == -1 && memcmp(memory, memory + 1, page - 1) == 0);
        if (known) SYS_ERR(ioctl(fd, command, nullptr), EFAULT);
        SYS_ERR(ioctl(dir, command, memory), ENOTTY);
        SYS_ERR(ioctl(path, command, memory), EBADF);
        SYS_ERR(ioctl(link, command, memory), EBADF);
        if (number < 2) SYS_ERR(ioctl(pipe, command, memory), ENOTTY);
      }
  for (uintptr_t kernel : {0xffff888000000000UL, 0xffffffff81000000UL, 1UL << 47, ~0xfffUL})
    SYS_ERR(ioctl(fd, MORSELFS_IOC_INFO, kernel), EFAULT);
}

// Every byte of the answer is the file's; none is what lay on the kernel's stack.
TEST(hostile_ioctl_answers_are_whole) {
  int fd = make_file("f", 1, bytes);
  (void)info(fd);
  morselfs_info a, b;
  memset(&a, 0xa5, sizeof a);
  memset(&b, 0x5a, sizeof b);
  for (morselfs_info* one : {&a, &b}) {
    one->size = sizeof *one;
    one->flags = 1;
    SYS_ERR(ioctl(fd, MORSELFS_IOC_INFO, one), EINVAL);
    one->flags = 0;
    SYS(ioctl(fd, MORSELFS_IOC_INFO, one));
  }
  CHECK(memcmp(&a, &b, sizeof a) == 0);
  CHECK_EQ(a.flags, 0);
  CHECK_EQ(a.bytes, bytes);
  CHECK_EQ(a.leaves_4k + 512 * a.leaves_2m, bytes / page);
  CHECK_EQ(a.mappings + a.graft_pud_slots + a.graft_pmd_slots + a.raw_pages, 0);
  a.size = UINT32_MAX;  // a structure from the far future
  SYS(ioctl(fd, MORSELFS_IOC_INFO, &a));
  CHECK_EQ(a.size, sizeof a);
}

// A descriptor outlives the mount point.
TEST(hostile_use_after_unmount) {
  mount_with("n", "size=16m");
  int fd = make_file("n/f", 1, bytes);
  int dir = SYS(open("n", O_RDONLY | O_DIRECTORY));
  SYS(umount2("n", MNT_DETACH));
  if (harness::is_morselfs()) CHECK_EQ(info(fd).bytes, bytes);
  SYS(ftruncate(fd, 2 * bytes));
  write_filled(fd, 1, bytes, bytes);
  check_file(fd, 1, 0, 2 * bytes);
  int more = SYS(openat(dir, "g", O_CREAT | O_RDWR, 0600));
  char* m = map(more, bytes, rw, MAP_SHARED);
  CHECK_SIGNAL_READ(m, SIGBUS);
  SYS(ftruncate(more, bytes));
  fill(m, 2, 0, bytes);
  check_file(more, 2, 0, bytes);
  SYS(munmap(m, bytes));
}

// No file is opened by a number that somebody made up.
TEST(hostile_file_handles) {
  if (!harness::is_morselfs()) SKIP("tmpfs can be exported");
  close(make_file("f", 1, page));
  union {
    file_handle handle;
    char room[sizeof(file_handle) + MAX_HANDLE_SZ];
  } h{};
  h.handle.handle_bytes = MAX_HANDLE_SZ;
  int id, mount_fd = SYS(open(".", O_RDONLY | O_DIRECTORY));
  SYS_ERR(name_to_handle_at(AT_FDCWD, "f", &h.handle, &id, 0), EOPNOTSUPP);
  for (int type : {0, 1, 2, 0x81, 0x82, 255})
    for (unsigned size : {0u, 4u, 8u, 12u, 40u, unsigned(MAX_HANDLE_SZ)}) {
      memset(&h, 1, sizeof h);
      h.handle.handle_bytes = size;
      h.handle.handle_type = type;
      CHECK(open_by_handle_at(mount_fd, &h.handle, O_RDWR) == -1);
      CHECK(errno == EOPNOTSUPP || errno == ESTALE || errno == EINVAL);
    }
}

// Where numbers come to an end: 2^47 is the largest file, 2^63 the largest offset.
TEST(hostile_offsets) {
  if (!harness::is_morselfs()) SKIP("tmpfs has larger files");
  constexpr off_t most = off_t(1) << 47, far = INT64_MAX;
  int fd = create("f"), ends[2];
  char* buffer = map(-1, 2 * page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  constexpr off_t bad[] = {
      most, most + 1, most + off_t(page), off_t(1) << 48, off_t(1) << 62, far - off_t(page), far};
  for (off_t at : bad) {
    SYS_ERR(pwrite(fd, "x", 1, at), at == far ? EINVAL : EFBIG);
    SYS_ERR(ftruncate(fd, at + (at == most)), EFBIG);
    CHECK_EQ(pread(fd, buffer, 1, at == far ? at - 1 : at), 0);
    for (int mode :
         {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE})
      SYS_ERR(fallocate(fd, mode, at, 1), EFBIG);
    void* m = mmap(nullptr, page, rw, MAP_SHARED, fd, at & ~off_t(page - 1));
    if (m != MAP_FAILED) {  // the kernel allows more than a file can have
      CHECK_SIGNAL_READ(m, SIGBUS);
      CHECK_SIGNAL_WRITE(m, SIGBUS);
      SYS(munmap(m, page));
    } else {
      CHECK(errno == EOVERFLOW || errno == ENOMEM);
    }
    SYS_ERR(lseek(fd, at, SEEK_DATA), ENXIO);
    loff_t from = at;
    CHECK(copy_file_range(fd, &from, fd, nullptr, page, 0) <= 0);
    struct flock lock {
      F_WRLCK, SEEK_SET, at, 1, 0
    };
    (void)!fcntl(fd, F_OFD_SETLK, &lock);
  }
  CHECK_EQ(status(fd).st_size, 0);
  for (off_t length : {most, far})
    for (int mode : {0, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE})
      for (off_t at : {off_t(1), off_t(page)}) CHECK(fallocate(fd, mode, at, length) == -1);
  SYS_ERR(fallocate(fd, 0, 0, most), ENOSPC);
  CHECK_EQ(status(fd).st_blocks, 0);

  // The last byte that can be had, in all ways.
  CHECK_EQ(pwrite(fd, "end", 3, most - 2), 2);
  CHECK_EQ(status(fd).st_size, most);
  SYS_ERR(pwrite(fd, "x", 1, most), EFBIG);
  SYS(pipe(ends));
  CHECK_EQ(write(ends[1], "xy", 2), 2);
  loff_t at = most;
  SYS_ERR(splice(ends[0], nullptr, fd, &at, 2, 0), EFBIG);
  for (int prot : {PROT_READ, rw}) {
    char* m = map(fd, 2 * leaf, prot, MAP_SHARED, size_t(most) - 2 * leaf);
    CHECK_EQ(m[2 * leaf - 2], 'e');
    CHECK_EQ(m[2 * leaf - 1], 'n');
    if (prot == rw) m[leaf] = 'x';
    SYS(munmap(m, 2 * leaf));
  }
  for (size_t mapped : {2 * page, leaf, slot + leaf}) {  // across the end of all files
    char* m = map(fd, mapped, rw, MAP_SHARED, size_t(most) - page);
    CHECK_EQ(m[page - 1], 'n');
    CHECK_SIGNAL_WRITE(m + page, SIGBUS);
    CHECK_SIGNAL_READ(m + mapped - 8, SIGBUS);
    SYS(munmap(m, mapped));
  }
  CHECK_EQ(lseek(fd, 0, SEEK_DATA) >= most - off_t(2 * leaf), 1);
  SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, most));
  CHECK_EQ(status(fd).st_blocks, 0);
  SYS(ftruncate(fd, 0));
}

// Nobody keeps memory for attributes without end.
TEST(hostile_attributes) {
  close(create("f"));
  if (setxattr("f", "user.probe", "x", 1, 0) != 0) SKIP("no user attributes: %s", strerror(errno));
  if (!harness::is_morselfs()) SKIP("tmpfs takes more");
  SYS(chmod("f", 0666));
  std::string value(1000, 'v');
  size_t room = 0;
  for (int i = 0;; i++) {
    std::string name = "user." + std::to_string(i);
    if (setxattr("f", name.c_str(), value.data(), value.size(), 0) != 0) break;
    room += value.size();
    CHECK(room <= 65536);
  }
  CHECK_EQ(errno, ENOSPC);
  CHECK(room >= 60000);
  SYS(setxattr("f", "user.0", "", 0, XATTR_REPLACE));  // smaller is possible
  char list[65536];
  CHECK(listxattr("f", list, sizeof list) > 0);
}

// Tables of a file that has next to no pages: their number has a limit, even while
// removals can't free them because the file is mapped.
TEST(hostile_tables) {
  if (harness::leaves_move()) SKIP("the module's worker moves leaves all the time");
  constexpr size_t slots = 512;
  int fd = make_sparse("f", slots * slot);
  (void)info(fd);
  char* m = map(fd, page, rw, MAP_SHARED);
  uint64_t most = 0;
  bool stopped = false;
  for (size_t i = 1; i < slots && !stopped; i++) {
    stopped = pwrite(fd, "x", 1, off_t(i * slot)) != 1;
    if (stopped) CHECK_EQ(errno, ENOSPC);
    SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(i * slot), leaf));
    uint64_t now = info(fd).table_bytes;
    most = now > most ? now : most;
  }
  // A 2-MiB frame needs no tables of its own; only the table above it is left.
  CHECK_EQ(stopped, !harness::has_huge_leaves());
  CHECK(most <= 1100 * page);
  SYS(munmap(m, page));  // now they go
  CHECK(info(fd).table_bytes < 16 * page);
  CHECK_EQ(pwrite(fd, "x", 1, off_t(500 * slot)), 1);
}

// Many who may write files that somebody maps take their pages away without a pause:
// more removals at once than the module knows one by one. He goes on all the same, in
// a file of his own that lies among them.
TEST(hostile_removals_starve_nobody) {
  constexpr int attackers = 12, rounds = 60;
  char* area = reserve((attackers + 1) * 2 * leaf, leaf);
  pid_t children[attackers];
  auto* gates = static_cast<Gate*>(shared_memory(2 * sizeof(Gate)));
  for (int who = 0; who < attackers; who++) {
    std::string name = "f" + std::to_string(who);
    int fd = make_file(name.c_str(), 1, leaf);
    map(fd, leaf, rw, MAP_SHARED | MAP_FIXED, 0, area + size_t(who < 6 ? who : who + 1) * 2 * leaf);
    children[who] = harness::spawn([&] {
      gates[0].open();
      while (!gates[1].count) {
        CHECK_EQ(pwrite(fd, "x", 1, 9 * page), 1);
        SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, leaf));
      }
    });
  }
  int own = make_file("own", 2, leaf);
  char* m = area + size_t(6) * 2 * leaf;
  map(own, leaf, rw, MAP_SHARED | MAP_FIXED, 0, m);
  gates[0].wait(attackers);
  for (int i = 0; i < rounds; i++) {
    size_t at = size_t(i) * 7 * page;
    SYS(madvise(m, leaf, MADV_DONTNEED));  // the next access faults
    CHECK_FILLED(m + at, 2, at, page);
    char* victim = area + size_t(i % 6) * 2 * leaf;
    CHECK_EQ(probe_read(victim + 9 * page), 0);
  }
  gates[1].open();
  for (pid_t child : children) harness::join(child);
  check_file(own, 2, 0, leaf);
}
