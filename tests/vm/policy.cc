// SPDX-License-Identifier: MIT
//
// Which leaves an object gets: huge= of the mount, the object's own policy, madvise(2) and
// fallocate(2); and what it costs. On mounts of our own. What has become full later, and is moved
// then, is for others: here nothing is full that is expected to be small.
#include <sys/mount.h>
#include <sys/wait.h>

#include <algorithm>
#include <string>
#include <vector>

#include "memory.h"

namespace {

// Nothing is moved behind a test's back.
constexpr const char* no_worker = ",promote=0";

constexpr const char* policies[] = {"never", "within_size", "always", "advise"};
constexpr size_t sparse_bytes = 4 * leaf;

void mount_with(const std::string& policy, const char* worker = no_worker) {
  if (!harness::is_morselfs()) SKIP("about morselfs");
  SYS(mkdir("n", 0755));
  std::string options = "size=64m,huge=" + policy + worker;
  if (mount("none", "n", "morselfs", 0, options.c_str()) != 0) {
    if (errno == EPERM) SKIP("can't mount here");
    FAIL("mount with %s: expected success, seen %s", options.c_str(), strerror(errno));
  }
}

void remount(const std::string& policy) {
  std::string options = "huge=" + policy;
  SYS(mount("none", "n", "", MS_REMOUNT, options.c_str()));
}

void unmount() {
  SYS(umount("n"));
  SYS(rmdir("n"));
}

uint64_t allocated(int fd) {
  struct stat st;
  SYS(fstat(fd, &st));
  return uint64_t(st.st_blocks) * 512;
}

void check_leaves(const char* what, int fd, size_t large, size_t small) {
  morselfs_info i = info(fd);
  if (i.leaves_2m != large || i.leaves_4k != small)
    FAIL("%s: expected %zu large and %zu small leaves, seen %llu and %llu", what, large, small,
         (unsigned long long)i.leaves_2m, (unsigned long long)i.leaves_4k);
  CHECK_EQ(allocated(fd), large * leaf + small * page);
}

// The contents 1, in calls of `piece` bytes.
void write_in(int fd, size_t from, size_t bytes, size_t piece) {
  std::vector<uint64_t> buffer(piece / 8 + 1);
  for (size_t done = 0; done < bytes;) {
    size_t now = std::min(piece, bytes - done);
    fill(buffer.data(), 1, from + done, (now + 7) & ~size_t(7));
    CHECK_EQ(SYS(pwrite(fd, buffer.data(), now, off_t(from + done))), now);
    done += now;
  }
}

void touch_slots(char* m, bool write) {
  for (size_t at = 5 * page; at < sparse_bytes; at += leaf) {
    if (write)
      m[at] = 1;
    else
      CHECK_EQ(m[at], 0);
  }
}

void set_policy(int fd, uint32_t policy) {
  SYS(ioctl(fd, MORSELFS_IOC_HUGE, &policy));
  CHECK_EQ(info(fd).huge, policy);
}

// Only what this process asks for.
void fail_large_frames(bool fail) {
  int fd = SYS(open("/sys/module/morselfs/parameters/inject", O_WRONLY | O_CLOEXEC));
  std::string line = fail ? "huge-frame all " + std::to_string(getpid()) : "off";
  CHECK_EQ(SYS(write(fd, line.data(), line.size())), line.size());
  close(fd);
}

}  // namespace

// However it comes into being, a file costs its pages.
TEST(huge_files_cost_their_pages) {
  for (const char* policy : policies) {
    mount_with(policy);
    for (size_t bytes : {size_t(1), 10 * page, leaf - page, leaf, leaf + leaf / 20, 2 * leaf + 1}) {
      const size_t pages = (bytes + page - 1) / page * page;
      for (size_t piece : {bytes, leaf / 8, 3 * page + 104}) {
        int fd = make_sparse("n/written", 0);
        write_in(fd, 0, bytes, piece);
        CHECK_EQ(allocated(fd), pages);
        check_file(fd, 1, 0, bytes & ~size_t(7));
        close(fd);
        SYS(unlink("n/written"));
      }
      int fd = make_sparse("n/allocated", 0);
      SYS(fallocate(fd, 0, 0, off_t(bytes)));
      CHECK_EQ(allocated(fd), pages);
      close(fd);
      fd = make_sparse("n/touched", bytes);
      char* m = map(fd, pages, rw, MAP_SHARED);
      for (size_t at = 0; at < pages; at += page) m[at] = 1;
      CHECK_EQ(allocated(fd), pages);
      SYS(munmap(m, pages));
      close(fd);
      for (const char* name : {"n/allocated", "n/touched"}) SYS(unlink(name));
    }
    unmount();
  }
}

TEST(huge_by_write) {
  for (std::string policy : policies) {
    mount_with(policy);
    const bool some = policy == "within_size" || policy == "always";
    int fd = make_sparse("n/whole", 0);
    write_in(fd, 0, 3 * leaf + 5 * page, 3 * leaf + 5 * page);
    check_leaves((policy + ", whole slots").c_str(), fd, some ? 3 : 0, some ? 5 : 3 * 512 + 5);
    check_file(fd, 1, 0, 3 * leaf + 5 * page);
    close(fd);

    fd = make_sparse("n/across", sparse_bytes);
    write_in(fd, leaf / 2, 2 * leaf, 2 * leaf);
    check_leaves((policy + ", across slots").c_str(), fd,
                 policy == "always" ? 3 : policy == "within_size",
                 policy == "always"        ? 0
                 : policy == "within_size" ? 512
                                           : 1024);
    check_file(fd, 1, leaf / 2, 2 * leaf);
    check_file_zero(fd, 0, leaf / 2);
    close(fd);

    fd = make_sparse("n/little", sparse_bytes);
    write_in(fd, leaf + page, page, page);
    check_leaves((policy + ", a page").c_str(), fd, policy == "always", policy != "always");
    close(fd);

    // A slot that has something in it keeps its small leaves, until it is full.
    if (policy == "within_size") {
      fd = make_sparse("n/begun", sparse_bytes);
      write_in(fd, leaf + page, page, page);
      write_in(fd, leaf, leaf - page, leaf);
      check_leaves("within_size, begun by a page", fd, 0, 511);
      close(fd);
    }

    fd = make_sparse("n/appended", 0);
    write_in(fd, 0, 2 * leaf + 3 * page, 16 * page);
    check_leaves((policy + ", appended").c_str(), fd, some ? 2 : 0, some ? 3 : 2 * 512 + 3);
    check_file(fd, 1, 0, 2 * leaf + 3 * page);
    close(fd);
    unmount();
  }
}

TEST(huge_by_fallocate) {
  for (std::string policy : policies) {
    mount_with(policy);
    const bool none = policy == "never";
    int fd = make_sparse("n/f", 0);
    SYS(fallocate(fd, 0, 0, 3 * leaf + 5 * page));
    check_leaves((policy + ", allocated").c_str(), fd, none ? 0 : 3, none ? 3 * 512 + 5 : 5);
    check_file_zero(fd, 0, 3 * leaf + 5 * page);
    close(fd);
    // Of the slots at the ends only a part.
    fd = make_sparse("n/g", sparse_bytes);
    SYS(fallocate(fd, 0, leaf / 2, 2 * leaf));
    check_leaves((policy + ", across slots").c_str(), fd,
                 policy == "always"  ? 3
                 : policy == "never" ? 0
                                     : 1,
                 policy == "always"  ? 0
                 : policy == "never" ? 1024
                                     : 512);
    close(fd);
    unmount();
  }
}

TEST(huge_by_fault) {
  for (std::string policy : policies)
    for (int flags : {MAP_SHARED, MAP_PRIVATE})
      for (bool write : {false, true}) {
        mount_with(policy);
        int fd = make_sparse("n/f", sparse_bytes);
        char* m = map(fd, sparse_bytes, rw, flags);
        touch_slots(m, write);
        const bool large = policy == "always";
        check_leaves((policy + ", touched").c_str(), fd, large ? 4 : 0, large ? 0 : 4);
        SYS(munmap(m, sparse_bytes));
        close(fd);
        unmount();
      }
}

// An object's own policy counts, whatever the mount says.
TEST(huge_policy_of_an_object) {
  for (std::string policy : policies) {
    mount_with(policy);
    auto touched = [](uint32_t own) {
      int fd = make_sparse("n/f", sparse_bytes);
      CHECK_EQ(info(fd).huge, MORSELFS_HUGE_MOUNT);
      set_policy(fd, own);
      write_in(fd, 0, leaf, leaf);            // large within_size
      write_in(fd, leaf + page, page, page);  // large always
      morselfs_info i = info(fd);
      close(fd);
      SYS(unlink("n/f"));
      return i.leaves_2m;
    };
    CHECK_EQ(touched(MORSELFS_HUGE_NEVER), 0);
    CHECK_EQ(touched(MORSELFS_HUGE_WITHIN_SIZE), 1);
    CHECK_EQ(touched(MORSELFS_HUGE_ALWAYS), 2);
    CHECK_EQ(touched(MORSELFS_HUGE_MOUNT), policy == "always" ? 2 : policy == "within_size");
    unmount();
  }
}

TEST(huge_policy_may_be_set_by) {
  mount_with("never");
  int fd = make_sparse("n/f", page);
  SYS(chmod("n/f", 0666));
  for (uint32_t wrong : {4u, 100u, ~0u}) SYS_ERR(ioctl(fd, MORSELFS_IOC_HUGE, &wrong), EINVAL);
  SYS_ERR(ioctl(fd, MORSELFS_IOC_HUGE, nullptr), EFAULT);
  CHECK_EQ(info(fd).huge, MORSELFS_HUGE_MOUNT);
  int reader = SYS(open("n/f", O_RDONLY));
  set_policy(reader, MORSELFS_HUGE_WITHIN_SIZE);
  // Not whoever may only write.
  uint32_t policy = MORSELFS_HUGE_ALWAYS;
  harness::in_child([&] {
    SYS(setresuid(65534, 65534, 65534));
    SYS_ERR(ioctl(fd, MORSELFS_IOC_HUGE, &policy), EPERM);
  });
  SYS(chown("n/f", 65534, 65534));
  harness::in_child([&] {
    SYS(setresuid(65534, 65534, 65534));
    set_policy(fd, MORSELFS_HUGE_ALWAYS);
  });
  CHECK_EQ(info(fd).huge, MORSELFS_HUGE_ALWAYS);
  set_policy(fd, MORSELFS_HUGE_NEVER);  // root
  // Seals are about contents.
  SYS(ioctl(fd, MORSELFS_IOC_SEAL));
  set_policy(fd, MORSELFS_HUGE_ALWAYS);
  close(fd);
  SYS(mount("none", "n", "", MS_REMOUNT | MS_RDONLY, ""));
  SYS_ERR(ioctl(reader, MORSELFS_IOC_HUGE, &policy), EROFS);
  int directory = SYS(open("n", O_RDONLY));
  SYS_ERR(ioctl(directory, MORSELFS_IOC_HUGE, &policy), ENOTTY);
  close(directory);
  close(reader);
  unmount();
}

// With huge=advise, who wants large leaves says so: from then on it is as within_size.
TEST(huge_by_madvise) {
  for (std::string policy : policies)
    for (int flags : {MAP_SHARED, MAP_PRIVATE}) {
      mount_with(policy);
      int fd = make_sparse("n/f", sparse_bytes);
      char* m = reserve(sparse_bytes, leaf);
      map(fd, sparse_bytes, rw, flags | MAP_FIXED, 0, m);
      SYS(madvise(m + leaf, 2 * leaf, MADV_HUGEPAGE));
      touch_slots(m, flags == MAP_SHARED);
      const size_t large = policy == "always" ? 4 : policy == "never" ? 0 : 2;
      check_leaves((policy + ", advised").c_str(), fd, large, 4 - large);
      SYS(munmap(m, sparse_bytes));
      SYS(ftruncate(fd, 0));
      write_in(fd, 0, leaf, leaf);
      check_leaves((policy + ", written then").c_str(), fd, policy != "never",
                   policy == "never" ? 512 : 0);
      close(fd);
      int other = make_sparse("n/other", sparse_bytes);
      write_in(other, 0, leaf, leaf);
      const bool whole = policy == "always" || policy == "within_size";
      check_leaves((policy + ", another file").c_str(), other, whole, whole ? 0 : 512);
      close(other);
      unmount();
    }
}

TEST(huge_by_madvise_not) {
  mount_with("always");
  int fd = make_sparse("n/f", sparse_bytes);
  char* m = reserve(sparse_bytes, leaf);
  map(fd, sparse_bytes, rw, MAP_SHARED | MAP_FIXED, 0, m);
  SYS(madvise(m + leaf, 2 * leaf, MADV_NOHUGEPAGE));
  touch_slots(m, true);
  check_leaves("advised against", fd, 2, 2);
  SYS(munmap(m, sparse_bytes));
  close(fd);
  unmount();
}

// What is there stays; what comes follows.
TEST(huge_remount) {
  mount_with("never");
  int fd = make_sparse("n/f", sparse_bytes);
  char* m = map(fd, sparse_bytes, rw, MAP_SHARED);
  m[0] = 1;
  check_leaves("never", fd, 0, 1);
  remount("always");
  m[leaf] = 1;
  check_leaves("always", fd, 1, 1);
  remount("within_size");
  m[2 * leaf] = 1;
  check_leaves("within_size", fd, 1, 2);
  write_in(fd, 3 * leaf, leaf, leaf);
  check_leaves("within_size, written", fd, 2, 2);
  remount("advise");
  int other = make_sparse("n/g", 0);
  write_in(other, 0, leaf, leaf);
  check_leaves("advise", other, 0, 512);
  std::string wrong = "huge=sometimes";
  SYS_ERR(mount("none", "n", "", MS_REMOUNT, wrong.c_str()), EINVAL);
  int third = make_sparse("n/h", 0);
  SYS(fallocate(third, 0, 0, leaf));
  check_leaves("still advise", third, 1, 0);
  close(third);
  SYS(munmap(m, sparse_bytes));
  close(other);
  close(fd);
  unmount();
}

// Who writes in blocks of st_blksize fills whole slots.
TEST(huge_block_size) {
  for (std::string policy : policies) {
    mount_with(policy);
    int fd = make_sparse("n/f", page);
    auto block = [&] {
      struct stat st;
      SYS(fstat(fd, &st));
      return size_t(st.st_blksize);
    };
    CHECK_EQ(block(), policy == "within_size" || policy == "always" ? leaf : page);
    set_policy(fd, MORSELFS_HUGE_NEVER);
    CHECK_EQ(block(), page);
    set_policy(fd, MORSELFS_HUGE_WITHIN_SIZE);
    CHECK_EQ(block(), leaf);
    close(fd);
    unmount();
  }
}

// Without large frames there are small ones, at once and everywhere.
TEST(huge_frames_are_not_to_be_had) {
  for (const char* policy : {"within_size", "always"}) {
    mount_with(policy);
    fail_large_frames(true);
    int fd = make_sparse("n/written", leaf);
    char* one = map(fd, page, PROT_READ, MAP_SHARED);  // so write(2) does not merge what is full
    write_in(fd, 0, leaf + page, leaf + page);
    check_leaves(policy, fd, 0, 513);
    check_file(fd, 1, 0, leaf + page);
    SYS(munmap(one, page));
    close(fd);
    fd = make_sparse("n/allocated", 0);
    SYS(fallocate(fd, 0, 0, leaf));
    check_leaves(policy, fd, 0, 512);
    close(fd);
    fd = make_sparse("n/touched", sparse_bytes);
    char* m = reserve(sparse_bytes, leaf);
    map(fd, sparse_bytes, rw, MAP_SHARED | MAP_FIXED, 0, m);
    SYS(madvise(m, sparse_bytes, MADV_HUGEPAGE));
    touch_slots(m, true);
    check_leaves(policy, fd, 0, 4);
    fail_large_frames(false);
    SYS(munmap(m, sparse_bytes));
    close(fd);
    fd = make_sparse("n/later", 0);
    SYS(fallocate(fd, 0, 0, leaf));
    check_leaves(policy, fd, 1, 0);
    close(fd);
    unmount();
  }
}

// What is full and waits to be moved stays where it is when the policy does not want it any more.
TEST(huge_policy_that_changes_its_mind) {
  mount_with("within_size", "");
  auto small = [](const char* name) {
    int fd = make_sparse(name, leaf);
    char* one = map(fd, page, PROT_READ, MAP_SHARED);  // so write(2) does not merge what is full
    write_in(fd, 0, leaf, leaf / 8);
    SYS(munmap(one, page));
    return fd;
  };
  int stays = small("n/stays");
  set_policy(stays, MORSELFS_HUGE_NEVER);
  while (info(stays).leaves_2m) {  // the worker was quicker than we
    SYS(unlink("n/stays"));
    close(stays);
    stays = small("n/stays");
    set_policy(stays, MORSELFS_HUGE_NEVER);
  }
  int moves = small("n/moves");  // after the other
  while (!info(moves).leaves_2m) usleep(10000);
  check_leaves("policy never", stays, 0, 512);
  check_file(stays, 1, 0, leaf);
  close(stays);
  close(moves);
  unmount();
}

// A full mount says so, and no large leaf takes what small ones could have.
TEST(huge_on_a_full_mount) {
  for (const char* policy : policies) {
    mount_with(policy);
    SYS(mount("none", "n", "", MS_REMOUNT, "size=3m"));
    int fd = make_sparse("n/f", 0);
    write_in(fd, 0, 3 << 20, 3 << 20);
    CHECK_EQ(allocated(fd), 3 << 20);
    SYS_ERR(pwrite(fd, "x", 1, 3 << 20), ENOSPC);
    check_file(fd, 1, 0, 3 << 20);
    close(fd);
    unmount();
  }
}
