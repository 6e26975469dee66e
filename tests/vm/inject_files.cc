// SPDX-License-Identifier: MIT
//
// Memory runs out at every allocation that mounting, names, attributes and data take: the caller
// gets an error or never notices, all contents are what they were or what they should be, a second
// try succeeds, and nothing is lost.
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>

#include <functional>
#include <utility>

#include "inject.h"

using inject::error_of;
using inject::exhaust;

namespace {

constexpr size_t bytes = 2 * leaf + 5 * page;

bool exists(const char* name) {
  struct stat st;
  return lstat(name, &st) == 0;
}

void expect(const char* name, bool there) {
  if (exists(name) != there) FAIL("%s: expected to %s", name, there ? "exist" : "be absent");
}

// An operation that makes `name`.
void exhaust_making(const char* what, const char* name, std::function<int()> make) {
  exhaust(
      what, make, [=](bool done) { expect(name, done); }, [=] { SYS(remove(name)); });
}

int create(const char* name) {
  int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return errno;
  close(fd);
  return 0;
}

// Writes the contents 1 from where the last call stopped; an error, or 0 when all is in.
struct Writer {
  int fd;
  size_t total;
  size_t piece = ~size_t(0);
  char* buffer = [](size_t size) {
    char* b = map(-1, size, rw, MAP_PRIVATE | MAP_ANONYMOUS);
    fill(b, 1, 0, size);
    return b;
  }(total);
  size_t done = 0;

  int operator()() {
    while (done < total) {
      size_t now = total - done < piece ? total - done : piece;
      ssize_t written = pwrite(fd, buffer + done, now, off_t(done));
      if (written < 0) return errno;
      done += size_t(written);
      if (size_t(written) < now) return ENOMEM;  // it says why when asked again
    }
    return 0;
  }
};

off_t size_of(int fd) {
  struct stat st;
  SYS(fstat(fd, &st));
  return st.st_size;
}

// The file is as long as this and has the contents 1; the page behind its end can't be reached,
// and reads as zeroes when the file grows over it.
void check_end(int fd, size_t size) {
  CHECK_EQ(size_of(fd), size);
  check_file(fd, 1, 0, size & ~size_t(7));
  size_t end = (size + page - 1) & ~(page - 1);
  char* m = map(fd, end + leaf, PROT_READ, MAP_SHARED);
  if (end) CHECK_EQ(probe_read(m + end - page), 0);
  CHECK_SIGNAL_READ(m + end, SIGBUS);
  munmap(m, end + leaf);
  SYS(ftruncate(fd, off_t(end + page)));
  check_file_zero(fd, size, end + page - size);
  SYS(ftruncate(fd, off_t(size)));
}

}  // namespace

INJECT_TEST(inject_mount) {
  SYS(mkdir("n", 0755));
  std::string options = "size=16m,nr_inodes=50" + harness::huge_option();
  auto blocks = [] {
    struct statfs s;
    SYS(statfs("n", &s));
    return s.f_blocks;
  };
  const auto outside = blocks();
  // Asked before: that is a system call, too, and may not be the one whose allocation fails.
  const char* const type = harness::file_system();
  auto mount_it = [&] { return error_of(mount("none", "n", type, 0, options.c_str())); };
  exhaust(
      "mount", mount_it, [&](bool done) { CHECK_EQ(blocks(), done ? 4096 : outside); },
      [] { SYS(umount("n")); });
  CHECK_EQ(mount_it(), 0);
  auto resize = [](const char* size) { return error_of(mount("none", "n", "", MS_REMOUNT, size)); };
  exhaust(
      "remount", [&] { return resize("size=8m"); },
      [&](bool done) { CHECK_EQ(blocks(), done ? 2048 : 4096); },
      [&] { CHECK_EQ(resize("size=16m"), 0); });
  SYS(umount("n"));
}

INJECT_TEST(inject_names) {
  static const std::string target(300, 't');
  CHECK_EQ(create("old"), 0);
  exhaust_making("create", "a", [] { return create("a"); });
  exhaust_making("mkdir", "a", [] { return error_of(mkdir("a", 0755)); });
  exhaust_making("mkfifo", "a", [] { return error_of(mkfifo("a", 0644)); });
  exhaust_making("link", "a", [] { return error_of(link("old", "a")); });
  exhaust_making("symlink", "a", [] { return error_of(symlink(target.c_str(), "a")); });

  exhaust(
      "rename", [] { return error_of(rename("old", "new")); },
      [](bool done) {
        expect("new", done);
        expect("old", !done);
      },
      [] { SYS(rename("new", "old")); });
  exhaust(
      "rename with a whiteout",
      [] { return error_of(renameat2(AT_FDCWD, "old", AT_FDCWD, "new", RENAME_WHITEOUT)); },
      [](bool done) {
        struct stat st;
        SYS(lstat("old", &st));
        CHECK_EQ(S_ISCHR(st.st_mode), done);
        expect("new", done);
      },
      [] { SYS(rename("new", "old")); });

  int unnamed = -1;
  exhaust(
      "open without a name",
      [&] { return error_of(unnamed = open(".", O_TMPFILE | O_RDWR, 0644)); },
      [&](bool done) { CHECK_EQ(unnamed >= 0, done); }, [&] { SYS(close(unnamed)); });
}

INJECT_TEST(inject_attributes) {
  CHECK_EQ(create("f"), 0);
  static std::string old_value(100, 'o'), new_value(3000, 'n');
  auto check = [](const std::string& value) {
    std::string seen(4096, 0);
    seen.resize(size_t(SYS(getxattr("f", "user.a", seen.data(), seen.size()))));
    CHECK(seen == value);
  };
  auto set = [](const std::string& value) {
    return error_of(setxattr("f", "user.a", value.data(), value.size(), 0));
  };
  exhaust(
      "set an attribute", [&] { return set(new_value); },
      [&](bool done) {
        if (done)
          check(new_value);
        else
          SYS_ERR(getxattr("f", "user.a", nullptr, 0), ENODATA);
      },
      [] { SYS(removexattr("f", "user.a")); });
  CHECK_EQ(set(old_value), 0);
  exhaust(
      "replace an attribute", [&] { return set(new_value); },
      [&](bool done) { check(done ? new_value : old_value); },
      [&] { CHECK_EQ(set(old_value), 0); });
  exhaust(
      "remove an attribute", [] { return error_of(removexattr("f", "user.a")); },
      [&](bool done) {
        if (!done) check(old_value);
      },
      [&] { CHECK_EQ(set(old_value), 0); });
}

INJECT_TEST(inject_write) {
  int fd = make_sparse("f", 0);
  SYS(unlink("f"));
  for (size_t total : {page + 100, bytes}) {
    Writer writer{fd, total};
    exhaust(
        "write", [&] { return writer(); }, [&](bool) { check_end(fd, writer.done); },
        [&] {
          SYS(ftruncate(fd, 0));
          writer.done = 0;
        });
  }
  // Far out: the trees grow by all their levels.
  constexpr off_t far = off_t(1) << 46;
  uint64_t word = word_at(1, 0), seen = 0;
  exhaust(
      "write far out", [&] { return error_of(pwrite(fd, &word, sizeof word, far)); },
      [&](bool done) {
        CHECK_EQ(size_of(fd), done ? far + off_t(sizeof word) : 0);
        CHECK_EQ(pread(fd, &seen, sizeof seen, far), done ? sizeof seen : 0);
        if (done) CHECK_EQ(seen, word);
      },
      [&] { SYS(ftruncate(fd, 0)); });
}

// So few pages, and never mapped: no tables are made, but the xarray's nodes are.
INJECT_TEST(inject_write_small) {
  constexpr size_t pages[] = {0, 1, 64, 500};
  int fd = make_sparse("f", 0);
  SYS(unlink("f"));
  size_t written = 0;
  exhaust(
      "write a small file",
      [&] {
        for (; written < std::size(pages); written++) {
          alignas(8) char data[page];
          fill(data, 1, pages[written] * page, page);
          if (pwrite(fd, data, page, off_t(pages[written] * page)) < 0) return errno;
        }
        return 0;
      },
      [&](bool) {
        CHECK_EQ(size_of(fd), written ? (pages[written - 1] + 1) * page : 0);
        for (size_t i = 0; i < written; i++) check_file(fd, 1, pages[i] * page, page);
        if (written > 2) check_file_zero(fd, 2 * page, 62 * page);
      },
      [&] {
        SYS(ftruncate(fd, 0));
        written = 0;
      });
  if (harness::is_morselfs()) CHECK_EQ(info(fd).table_bytes, 0);
}

// A write that its buffer ends early, in the middle of a 2-MiB slot: nothing may be left behind
// the end that it has reached, whatever fails.
INJECT_TEST(inject_write_stops_early) {
  int fd = make_sparse("f", 0);
  SYS(unlink("f"));
  Writer writer{fd, 2 * leaf};
  constexpr size_t stop = leaf + 100 * page;
  SYS(mprotect(writer.buffer + stop, 2 * leaf - stop, PROT_NONE));
  exhaust(
      "write of a bad buffer",
      [&] {
        int error = writer();
        return writer.done == stop ? 0 : error;
      },
      [&](bool) { check_end(fd, writer.done); },
      [&] {
        SYS(ftruncate(fd, 0));
        writer.done = 0;
      });
}

// With huge=always every full slot is copied to a large frame; without memory for one it stays.
INJECT_TEST(inject_append) {
  int fd = make_sparse("f", 0);
  SYS(unlink("f"));
  Writer writer{fd, leaf + leaf / 2, 256 << 10};
  exhaust(
      "append", [&] { return writer(); }, [&](bool) { check_end(fd, writer.done); },
      [&] {
        SYS(ftruncate(fd, 0));
        writer.done = 0;
      });
}

INJECT_TEST(inject_space) {
  int fd = make_sparse("f", 0);
  SYS(unlink("f"));
  auto blocks = [&] {
    struct stat st;
    SYS(fstat(fd, &st));
    return st.st_blocks;
  };
  exhaust(
      "fallocate", [&] { return error_of(fallocate(fd, 0, 0, bytes)); },
      [&](bool done) {
        CHECK_EQ(size_of(fd), done ? bytes : 0);
        CHECK_EQ(blocks(), done ? bytes / 512 : 0);
        check_file_zero(fd, 0, done ? bytes : 0);
      },
      [&] { SYS(ftruncate(fd, 0)); });
  constexpr off_t huge = off_t(1) << 46;
  exhaust(
      "truncate, longer", [&] { return error_of(ftruncate(fd, huge)); },
      [&](bool done) { CHECK_EQ(size_of(fd), done ? huge : 0); }, [&] { SYS(ftruncate(fd, 0)); });

  write_filled(fd, 1, 0, 2 * leaf);
  constexpr off_t cut = leaf + 7 * page + 104;
  exhaust(
      "truncate, shorter", [&] { return error_of(ftruncate(fd, cut)); },
      [&](bool done) { check_end(fd, done ? cut : 2 * leaf); },
      [&] {
        SYS(ftruncate(fd, 0));
        write_filled(fd, 1, 0, 2 * leaf);
      });
  constexpr off_t from = 3 * page, length = leaf;
  exhaust(
      "punch",
      [&] {
        return error_of(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, length));
      },
      [&](bool done) {
        check_file(fd, 1, 0, from);
        if (done)
          check_file_zero(fd, from, length);
        else
          check_file(fd, 1, from, length);
        check_file(fd, 1, from + length, 2 * leaf - from - length);
      },
      [&] {
        SYS(ftruncate(fd, 0));
        write_filled(fd, 1, 0, 2 * leaf);
      });
}

INJECT_TEST(inject_copy) {
  int from = make_file("f", 1, bytes), to = make_sparse("g", 0);
  for (const char* name : {"f", "g"}) SYS(unlink(name));
  off_t done = 0;
  auto copy = [&](const char* what, auto call) {
    exhaust(
        what,
        [&] {
          while (done < off_t(bytes)) {
            ssize_t now = call(bytes - size_t(done));
            if (now < 0) return errno;
            if (now == 0) FAIL("%s: expected data, seen the end at %ld", what, long(done));
            done += now;
          }
          return 0;
        },
        [&](bool) { check_end(to, size_t(done)); },
        [&] {
          SYS(ftruncate(to, 0));
          done = 0;
        });
  };
  copy("copy_file_range", [&](size_t left) {
    off_t in = done, out = done;
    return copy_file_range(from, &in, to, &out, left, 0);
  });
  copy("sendfile", [&](size_t left) {
    off_t in = done;
    SYS(lseek(to, done, SEEK_SET));
    return sendfile(to, from, &in, left);
  });
}

// Half an export leaves neither a descriptor nor a page that is held.
INJECT_TEST(inject_export) {
  if (!harness::is_morselfs() || !has_dma_bufs()) SKIP("about dma-bufs of morselfs");
  int fd = make_file("f", 1, bytes), buffer = -1, next = dup(fd);
  close(next);
  auto export_it = [&] {
    morselfs_export wish = {};
    wish.size = sizeof wish;
    if (ioctl(fd, MORSELFS_IOC_EXPORT, &wish) != 0) return errno;
    buffer = wish.fd;
    return 0;
  };
  exhaust(
      "export", export_it, [&](bool done) { CHECK_EQ(buffer, done ? next : -1); },
      [&] {
        close(std::exchange(buffer, -1));
        // No list is kept, for the next try to make one.
        SYS(ftruncate(fd, off_t(bytes - page)));
        SYS(ftruncate(fd, off_t(bytes)));
        write_filled(fd, 1, bytes - page, page);
      });
  SYS(ioctl(fd, MORSELFS_IOC_SEAL));
  check_file(fd, 1, 0, bytes);
  close(fd);
  SYS(unlink("f"));
}
