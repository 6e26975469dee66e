// SPDX-License-Identifier: MIT
//
// Memory runs out at every allocation that mappings take: in mmap, in their faults, fork, when they
// are cut, moved and used by the kernel. A fault never fails for good: it is tried again.
#include <sys/uio.h>

#include "inject.h"

using inject::error_of;
using inject::exhaust;

namespace {

constexpr size_t bytes = 2 * leaf + 5 * page;

// A file's mapping at an address of its own that an operation may take and give back.
struct Mapped {
  Place place;
  int fd;
  int prot;
  size_t size = mapped_bytes(place, bytes);
  char* at = reserve(size, place == Place::slot ? slot : leaf, place == Place::odd ? page : 0);

  int take() { return error_of(mmap(at, size, prot, MAP_SHARED | MAP_FIXED, fd, 0)); }
  void give_back() {
    map(-1, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, 0, at);
  }
  // Every page; writes what is there already.
  void touch(size_t from = 0, size_t to = bytes) const {
    CHECK_PAGES(at + from, 1, from, to - from);
    if (prot & PROT_WRITE)
      for (size_t i = from; i < to; i += page)
        *reinterpret_cast<volatile uint64_t*>(at + i) = word_at(1, i);
  }
};

const char* const place_names[] = {"map", "map askew", "map a whole slot"};

}  // namespace

INJECT_TEST(inject_map) {
  int fd = make_file("f", 1, bytes);
  SYS(unlink("f"));
  for (Place place : places)
    for (int prot : {rw, PROT_READ}) {
      Mapped m{place, fd, prot};
      exhaust(
          place_names[int(place)],
          [&] {
            int error = m.take();
            if (!error) m.touch();
            return error;
          },
          [&](bool done) {
            if (done) m.touch();
            check_file(fd, 1, 0, bytes);
          },
          [&] { m.give_back(); });
      // With memory it is grafted again.
      CHECK_EQ(m.take(), 0);
      m.touch();
      if (harness::is_morselfs()) CHECK_EQ(info(fd).grafted_bytes % page, 0);
      if (harness::is_morselfs()) CHECK(info(fd).grafted_bytes >= leaf);
      m.give_back();
    }
}

// A small file gets its tables by the first mapping, or when it grows.
INJECT_TEST(inject_first_tables) {
  constexpr size_t small = 70 * page;
  auto make = [] {
    int fd = SYS(open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644));
    write_filled(fd, 1, 0, small);
    return fd;
  };
  int fd = make();
  auto anew = [&] {
    close(fd);
    fd = make();
  };
  for (int flags : {MAP_SHARED, MAP_PRIVATE}) {
    char* at = reserve(small, leaf);
    exhaust(
        "map a small file",
        [&] {
          if (mmap(at, small, rw, flags | MAP_FIXED, fd, 0) == MAP_FAILED) return errno;
          CHECK_PAGES(at, 1, 0, small);
          return 0;
        },
        [&](bool) { check_file(fd, 1, 0, small); },
        [&] {
          map(-1, small, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0, at);
          anew();
        });
  }
  for (size_t size : {leaf, slot, 1024 * slot})
    exhaust(
        "make a small file large", [&] { return error_of(ftruncate(fd, off_t(size))); },
        [&](bool done) {
          struct stat st;
          SYS(fstat(fd, &st));
          CHECK_EQ(st.st_size, done ? size : small);
          check_file(fd, 1, 0, small);
        },
        anew);
}

INJECT_TEST(inject_map_holes) {
  constexpr size_t step = 16 * page;
  int fd = make_sparse("f", bytes);
  SYS(unlink("f"));
  Mapped m{Place::fits, fd, rw};
  exhaust(
      "fill holes through a mapping",
      [&] {
        if (int error = m.take()) return error;
        for (size_t at = 0; at < bytes; at += step)
          *reinterpret_cast<volatile uint64_t*>(m.at + at) = word_at(1, at);
        return 0;
      },
      [&](bool done) {
        if (!done) return;
        for (size_t at = 0; at < bytes; at += step) {
          CHECK_FILLED(m.at + at, 1, at, 8);
          CHECK_ZERO(m.at + at + 8, page - 8);
        }
      },
      [&] {
        m.give_back();
        SYS(ftruncate(fd, 0));
        SYS(ftruncate(fd, bytes));
      });
}

INJECT_TEST(inject_map_private) {
  int fd = make_sparse("f", bytes);
  SYS(unlink("f"));
  write_filled(fd, 1, 0, leaf);
  Mapped m{Place::fits, fd, rw};
  exhaust(
      "map privately",
      [&] {
        if (int error = error_of(mmap(m.at, m.size, rw, MAP_PRIVATE | MAP_FIXED, fd, 0)))
          return error;
        CHECK_PAGES(m.at, 1, 0, leaf);
        for (size_t at = 0; at < bytes; at += 64 * page)
          *reinterpret_cast<volatile uint64_t*>(m.at + at) = word_at(2, at);
        return 0;
      },
      [&](bool done) {
        check_file(fd, 1, 0, leaf);
        check_file_zero(fd, leaf, bytes - leaf);
        for (size_t at = 0; done && at < bytes; at += 64 * page) CHECK_FILLED(m.at + at, 2, at, 8);
      },
      [&] {
        m.give_back();
        SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, leaf, bytes - leaf));
      });
}

INJECT_TEST(inject_fork) {
  int fd = make_file("f", 1, bytes);
  SYS(unlink("f"));
  Mapped m{Place::fits, fd, rw};
  CHECK_EQ(m.take(), 0);
  m.touch();
  exhaust(
      "fork",
      [&] {
        pid_t pid = fork();
        if (pid < 0) return errno;
        if (pid == 0) {
          m.touch();
          _exit(0);
        }
        harness::join(pid);
        return 0;
      },
      [&](bool) { m.touch(); }, [] {});
}

INJECT_TEST(inject_remap) {
  int fd = make_file("f", 1, bytes);
  SYS(unlink("f"));
  Mapped m{Place::fits, fd, rw}, elsewhere{Place::fits, fd, rw};
  CHECK_EQ(m.take(), 0);
  m.touch();
  exhaust(
      "unmap a page in the middle",
      [&] {
        if (int error = error_of(munmap(m.at + leaf, page))) return error;
        m.touch(0, leaf);
        m.touch(leaf + page);
        return 0;
      },
      [&](bool done) {
        m.touch(0, leaf);
        m.touch(leaf + page);
        if (done) CHECK_SIGNAL_READ(m.at + leaf, SIGSEGV);
      },
      [&] {
        CHECK_EQ(m.take(), 0);
        m.touch();
      });
  exhaust(
      "change the protection",
      [&] {
        if (int error = error_of(mprotect(m.at, leaf + page, PROT_READ))) return error;
        CHECK_PAGES(m.at, 1, 0, bytes);
        return 0;
      },
      [&](bool done) {
        CHECK_PAGES(m.at, 1, 0, bytes);
        if (done) CHECK_SIGNAL_WRITE(m.at + leaf, SIGSEGV);
      },
      [&] {
        CHECK_EQ(m.take(), 0);  // one VMA again
        m.touch();
      });
  auto move = [](Mapped& from, Mapped& to) {
    return error_of(mremap(from.at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to.at));
  };
  exhaust(
      "move",
      [&] {
        if (int error = move(m, elsewhere)) return error;
        elsewhere.touch();
        return 0;
      },
      [&](bool done) { (done ? elsewhere : m).touch(); },
      [&] {
        CHECK_EQ(move(elsewhere, m), 0);
        m.touch();
      });
}

// The kernel reads and writes through a mapping that nobody has touched yet.
INJECT_TEST(inject_kernel_access) {
  int fd = make_file("f", 1, bytes);
  SYS(unlink("f"));
  Mapped m{Place::fits, fd, rw};
  char* buffer = map(-1, bytes, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE);
  auto through = [&](const char* what, auto call) {
    exhaust(
        what,
        [&] {
          if (int error = m.take()) return error;
          ssize_t done = call();
          return done < 0 ? errno : done < ssize_t(bytes) ? ENOMEM : 0;
        },
        [&](bool done) {
          if (done) CHECK_PAGES(buffer, 1, 0, bytes);
          check_file(fd, 1, 0, bytes);
        },
        [&] {
          m.give_back();
          memset(buffer, 0, bytes);
        });
  };
  through("process_vm_readv", [&] {
    iovec to{buffer, bytes}, from{m.at, bytes};
    return process_vm_readv(getpid(), &to, 1, &from, 1, 0);
  });
  int memory = SYS(memfd_create("copy", MFD_CLOEXEC));
  SYS(ftruncate(memory, bytes));
  char* copy = map(memory, bytes, rw, MAP_SHARED);
  memset(copy, 0, bytes);
  through("write out of it", [&] {
    ssize_t done = pwrite(memory, m.at, bytes, 0);
    if (done == ssize_t(bytes)) memcpy(buffer, copy, bytes);
    return done;
  });
  through("read into it", [&] {
    ssize_t done = pread(fd, m.at, bytes, 0);  // onto itself
    if (done == ssize_t(bytes)) memcpy(buffer, m.at, bytes);
    return done;
  });
}
