// SPDX-License-Identifier: MIT
//
// A file system that is full: ENOSPC, and everything that was there is intact.
#include <vector>

#include <sys/xattr.h>

#include "files.h"

namespace {

constexpr size_t room = 5 << 20;  // no multiple of 2 MiB

void enter_small_mount(const std::string& options = "size=5m") {
  mount_with("n", options);
  SYS(chdir("n"));
}

// Writes contents `seed` until there is no more room; how much there was.
size_t write_until_full(int fd, uint64_t seed, size_t piece) {
  std::vector<char> buffer(piece + 8);
  size_t at = 0;
  for (;;) {
    fill(buffer.data(), seed, at, piece);
    ssize_t got = pwrite(fd, buffer.data(), piece, off_t(at));
    if (got < 0) {
      CHECK_EQ(errno, ENOSPC);
      return at;
    }
    CHECK(got > 0);
    at += size_t(got);
    if (size_t(got) < piece) {  // a short write, and the next one says why
      CHECK_EQ(at % page, 0);
      SYS_ERR(pwrite(fd, "x", 1, off_t(at)), ENOSPC);
      return at;
    }
  }
}

}  // namespace

TEST(limits_write_until_full) {
  for (size_t piece : {page, 3 * leaf, size_t(100000)}) {
    enter_small_mount();
    int fd = create("f");
    CHECK_EQ(write_until_full(fd, 1, piece), room);
    CHECK_EQ(status(fd).st_size, room);
    CHECK_EQ(space(".").f_bfree, 0);
    check_file(fd, 1, 0, room);
    write_filled(fd, 2, 0, room);  // over what is there
    check_file(fd, 2, 0, room);
    SYS_ERR(pwrite(fd, "x", 1, room), ENOSPC);
    SYS_ERR(pwrite(fd, "x", 1, 100 * leaf), ENOSPC);
    CHECK_EQ(status(fd).st_size, room);
    int other = create("g");  // an inode needs no block
    SYS_ERR(pwrite(other, "x", 1, 0), ENOSPC);
    CHECK_EQ(status(other).st_size, 0);
    SYS(rename("g", "h"));
    SYS(ftruncate(fd, room - page));
    CHECK_EQ(pwrite(other, "x", 1, 0), 1);
    SYS_ERR(pwrite(other, "x", 1, page), ENOSPC);
    check_file(fd, 2, 0, room - page);
    close(fd);
    close(other);
    SYS(unlink("f"));
    CHECK_EQ(space(".").f_bfree, room / page - 1);
    SYS(chdir(".."));
    SYS(umount("n"));
  }
}

TEST(limits_many_small_files) {
  enter_small_mount("size=1m");
  size_t files = 0;
  for (;; files++) {
    std::string name = "f" + std::to_string(files);
    int fd = create(name.c_str());
    uint64_t word = word_at(1, files);
    ssize_t got = pwrite(fd, &word, 8, 0);
    close(fd);
    if (got != 8) {
      CHECK_EQ(errno, ENOSPC);
      break;
    }
  }
  CHECK_EQ(files, 256);
  for (size_t i = 0; i < files; i++) {
    std::string name = "f" + std::to_string(i);
    int fd = SYS(open(name.c_str(), O_RDONLY));
    uint64_t word;
    CHECK_EQ(pread(fd, &word, 8, 0), 8);
    CHECK_EQ(word, word_at(1, i));
    close(fd);
  }
}

TEST(limits_allocate) {
  enter_small_mount();
  int fd = make_file("f", 1, page);
  SYS_ERR(fallocate(fd, 0, 0, 3 * leaf), ENOSPC);
  CHECK_EQ(status(fd).st_size, page);
  CHECK_EQ(status(fd).st_blocks, 8);  // what it had got was given back
  CHECK_EQ(space(".").f_bfree, room / page - 1);
  check_file(fd, 1, 0, page);
  SYS(fallocate(fd, 0, 0, room));
  CHECK_EQ(space(".").f_bfree, 0);
  SYS_ERR(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, room + 1), ENOSPC);
  check_file(fd, 1, 0, page);
  write_filled(fd, 1, page, room - page);  // promised space is there
  check_file(fd, 1, 0, room);
  // A whole slot: with 2-MiB leaves less than that gives nothing back.
  SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, leaf, leaf));
  CHECK_EQ(space(".").f_bfree, leaf / page);
  int other = make_file("g", 2, leaf);
  SYS_ERR(pwrite(fd, "x", 1, leaf + page), ENOSPC);  // its hole can't be filled now
  check_file_zero(fd, leaf, leaf);
  check_file(other, 2, 0, leaf);
}

// A sparse file may promise more than there is. Storing into it is then SIGBUS.
TEST(limits_mapped_holes) {
  enter_small_mount();
  int fd = make_sparse("f", 4 * leaf);
  int full = make_file("g", 1, room - 2 * page);
  char* m = map(fd, 4 * leaf, rw, MAP_SHARED);
  char* g = map(full, room - 2 * page, rw, MAP_SHARED);
  size_t stored = 0;
  for (size_t at = 0; at < 4 * leaf; at += leaf / 2) stored += probe_write(m + at, 77) == 0;
  CHECK_EQ(stored, 2);
  CHECK_EQ(space(".").f_bfree, 0);
  CHECK_FILLED(g, 1, 0, room - 2 * page);
  fill(g, 2, 0, room - 2 * page);
  check_file(full, 2, 0, room - 2 * page);
  SYS(ftruncate(full, 0));
  CHECK_EQ(probe_write(m + 3 * leaf, 78), 0);
  CHECK_EQ(*reinterpret_cast<volatile uint64_t*>(m + 3 * leaf), 78);
}

// 2-MiB leaves must not waste what is there: the last pages can be had one by one.
TEST(limits_last_page_can_be_used) {
  enter_small_mount();
  std::vector<int> files;
  for (int i = 0; i < 3; i++) {
    std::string name = "f" + std::to_string(i);
    files.push_back(make_sparse(name.c_str(), 2 * leaf));
  }
  size_t pages = 0;
  for (size_t at = 0; at < 2 * leaf; at += page)
    for (int fd : files) {
      uint64_t word = word_at(1, at);
      ssize_t got = pwrite(fd, &word, 8, off_t(at));
      if (got < 0) CHECK_EQ(errno, ENOSPC);
      pages += got == 8;
    }
  CHECK_EQ(pages, room / page);
  CHECK_EQ(space(".").f_bfree, 0);
}

TEST(limits_writers_at_once) {
  enter_small_mount();
  pid_t children[4];
  auto* total = shared<size_t>();
  for (int who = 0; who < 4; who++)
    children[who] = harness::spawn([=] {
      std::string name = "f" + std::to_string(who);
      int fd = create(name.c_str());
      size_t got = write_until_full(fd, uint64_t(who) + 1, 5 * page);
      __atomic_add_fetch(total, got, __ATOMIC_SEQ_CST);
      check_file(fd, uint64_t(who) + 1, 0, got);
    });
  for (pid_t child : children) harness::join(child);
  // All of it was handed out, and no page twice. (A writer that asks for several
  // pages may lose a race for the last ones and leave them.)
  CHECK(*total <= room);
  CHECK_EQ(*total + space(".").f_bfree * page, room);
  CHECK(space(".").f_bfree < 4 * 512UL);
}

TEST(limits_inodes) {
  enter_small_mount("size=1m,nr_inodes=10");
  CHECK_EQ(space(".").f_files, 10);
  CHECK_EQ(space(".").f_ffree, 9);  // the root has one
  for (int i = 0; i < 9; i++) {
    std::string name = "f" + std::to_string(i);
    if (i % 3 == 0)
      close(create(name.c_str()));
    else if (i % 3 == 1)
      SYS(mkdir(name.c_str(), 0755));
    else
      SYS(symlink("x", name.c_str()));
  }
  SYS_ERR(open("more", O_CREAT | O_RDWR, 0644), ENOSPC);
  SYS_ERR(mkdir("more", 0755), ENOSPC);
  SYS_ERR(symlink("x", "more"), ENOSPC);
  SYS_ERR(open(".", O_RDWR | O_TMPFILE, 0600), ENOSPC);
  CHECK(!exists("more"));
  write_all("f0", "still works");
  CHECK_TEXT(read_all("f0"), "still works");
  SYS(rename("f0", "f3"));
  close(create("one more"));
  SYS_ERR(mknod("two more", S_IFREG | 0600, 0), ENOSPC);
  for (const char* name : {"f1", "f4", "f7"}) SYS(rmdir(name));
  CHECK_EQ(space(".").f_ffree, 3);
}

// Attributes and targets of links are memory, too: beyond the first KiB of an inode's
// they cost inodes.
TEST(limits_attributes_and_links) {
  enter_small_mount("size=1m,nr_inodes=20");
  if (!harness::is_morselfs()) SKIP("tmpfs counts in its own way");
  std::string value(5000, 'v'), target(3500, 't');
  close(create("f"));
  SYS(setxattr("f", "user.a", value.data(), 500, 0));
  CHECK_EQ(space(".").f_ffree, 18);  // the root, the file
  SYS(setxattr("f", "user.a", value.data(), value.size(), 0));
  CHECK_EQ(space(".").f_ffree, 14);
  SYS(symlink(target.c_str(), "s"));
  CHECK_EQ(space(".").f_ffree, 10);
  SYS(lsetxattr("s", "trusted.a", value.data(), 1000, 0));  // on top of the target
  CHECK_EQ(space(".").f_ffree, 9);
  SYS_ERR(setxattr("f", "user.b", std::string(20000, 'w').data(), 20000, 0), ENOSPC);
  SYS_ERR(setxattr("f", "user.a", std::string(20000, 'w').data(), 20000, 0), ENOSPC);
  char seen[5000];
  CHECK_EQ(getxattr("f", "user.a", seen, sizeof seen), 5000);  // it is what it was
  CHECK(value == std::string(seen, 5000));
  for (int i = 0; i < 7; i++) close(create(("g" + std::to_string(i)).c_str()));
  SYS_ERR(symlink(target.c_str(), "t"), ENOSPC);
  CHECK(!exists("t"));
  CHECK_EQ(space(".").f_ffree, 2);
  SYS(setxattr("f", "user.a", "", 0, 0));
  CHECK_EQ(space(".").f_ffree, 6);
  SYS(removexattr("f", "user.a"));
  SYS(unlink("s"));
  SYS(unlink("f"));
  CHECK_EQ(space(".").f_ffree, 12);
}
