// SPDX-License-Identifier: MIT
//
// Pages that a pipe, a device or io_uring holds are not moved: what is stored after the attempt
// must reach the holder, and what the holder writes must reach the file.
#include <sys/uio.h>

#include "huge.h"
#include "uring.h"

namespace {

constexpr size_t bytes = 3 * leaf + 5 * page;
constexpr size_t part_pages = 8;  // a pipe has room for 16

int make_small(const char* name, uint64_t seed) {
  int fd = make_sparse(name, 0);
  set_policy(fd, MORSELFS_HUGE_NEVER);
  write_filled(fd, seed, 0, bytes);
  return fd;
}

// An attempt leaves the held slot alone, says so, and moves the others.
void check_busy(int fd) {
  size_t done = 0;
  // The others may be held, too, for a moment, by whoever has just read them.
  for (int i = 0; i < 1000 && done < 2 * leaf; i++) {
    morselfs_range range = promote(fd);
    done += range.done_bytes;
    if (harness::leaves_move()) return;  // it may have been moved before it was held
    CHECK(range.busy_bytes >= leaf);
    CHECK_EQ(range.lacking_bytes, 0);
  }
  CHECK_EQ(done, 2 * leaf);
  CHECK_EQ(promote(fd).busy_bytes, leaf);
  CHECK(info(fd).promote_failed > 0);
}

// `hold` takes the slot's pages, `check` sees contents 2 reach the holder after the attempts; what
// holds them is gone when it returns. Once with frames that never were large, and once with the
// parts of a large one.
template <class Hold, class Check>
void held_slot(int prot, Hold hold, Check check) {
  for (bool parts : {false, true}) {
    int fd = make_small("f", 1);
    if (parts) {
      promote_all(fd);
      demote_all(fd);
    }
    char* m = map_at(Place::fits, fd, bytes, rw);
    char* from = prot == rw ? m : map_at(Place::fits, fd, bytes, prot);
    CHECK_PAGES(from, 1, 0, bytes);
    hold(from + leaf);
    check_busy(fd);
    CHECK_PAGES(from, 1, 0, bytes);
    fill(m + leaf, 2, leaf, part_pages * page);
    check(from + leaf);
    promote_all(fd);  // nobody holds it any more
    CHECK_FILLED(m + leaf, 2, leaf, part_pages * page);
    CHECK_PAGES(m + leaf + part_pages * page, 1, leaf + part_pages * page,
                leaf - part_pages * page);
    check_file(fd, 1, 0, leaf);
    SYS(unlink("f"));
  }
}

void check_pipe(int end) {
  char* buffer = map(-1, part_pages * page, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  CHECK_EQ(read(end, buffer, part_pages * page), part_pages * page);
  CHECK_FILLED(buffer, 2, leaf, part_pages * page);
  SYS(munmap(buffer, part_pages * page));
}

}  // namespace

TEST(held_by_a_pipe) {
  int ends[2];
  SYS(pipe(ends));
  for (int prot : {rw, PROT_READ})
    held_slot(
        prot,
        [&](char* at) {
          iovec part{at, part_pages * page};
          CHECK_EQ(SYS(vmsplice(ends[1], &part, 1, 0)), part_pages * page);
        },
        [&](char*) { check_pipe(ends[0]); });
}

// Two pipes hold the same pages: when one lets go, they are held all the same.
TEST(held_twice) {
  int first[2], second[2];
  SYS(pipe(first));
  SYS(pipe(second));
  held_slot(
      rw,
      [&](char* at) {
        iovec part{at, part_pages * page};
        for (int end : {first[1], second[1]})
          CHECK_EQ(SYS(vmsplice(end, &part, 1, 0)), part_pages * page);
      },
      [&](char*) {
        check_pipe(first[0]);
        int fd = SYS(open("f", O_RDWR));
        if (!harness::leaves_move()) CHECK_EQ(promote(fd).busy_bytes, leaf);
        close(fd);
        check_pipe(second[0]);
      });
}

TEST(held_by_a_registered_buffer) {
  Ring ring;
  int source = make_small("source", 3);
  held_slot(
      rw,
      [&](char* at) {
        int error = ring.register_buffer(at, leaf);
        if (error == EOPNOTSUPP) SKIP("this kernel registers no file mappings");
        CHECK_EQ(error, 0);
      },
      [&](char* at) {
        // Out and in again: the ring's pages are still the file's.
        int other = make_sparse("other", 0);
        CHECK_EQ(ring.transfer(IORING_OP_WRITE_FIXED, other, at, part_pages * page, 0),
                 part_pages * page);
        char* copy = map(other, part_pages * page, PROT_READ, MAP_SHARED);
        CHECK_FILLED(copy, 2, leaf, part_pages * page);
        CHECK_EQ(ring.transfer(IORING_OP_READ_FIXED, source, at, page, 0), page);
        CHECK_FILLED(at, 3, 0, page);
        fill(at, 2, leaf, page);
        ring.unregister();
        close(other);
        SYS(unlink("other"));
      });
}

// A large leaf becomes small ones over the same frame, held or not.
TEST(held_large_leaf_is_demoted) {
  int fd = make_small("f", 1), ends[2];
  SYS(pipe(ends));
  promote_all(fd);
  char* m = map_at(Place::fits, fd, bytes, rw);
  CHECK_PAGES(m, 1, 0, bytes);
  iovec part{m + leaf, part_pages * page};
  CHECK_EQ(SYS(vmsplice(ends[1], &part, 1, 0)), part_pages * page);
  demote_all(fd);
  fill(m + leaf, 2, leaf, part_pages * page);
  (void)promote(fd);
  CHECK_FILLED(m + leaf, 2, leaf, part_pages * page);
  check_pipe(ends[0]);
  promote_all(fd);
  CHECK_FILLED(m + leaf, 2, leaf, part_pages * page);
}

// A page that only one of a process's private mappings has is no page of the file's: it is in
// nobody's way.
TEST(held_copies_are_not_in_the_way) {
  int fd = make_small("f", 1);
  char* p = map(fd, bytes, rw, MAP_PRIVATE);
  fill(p, 2, 0, leaf);
  CHECK_PAGES(p + leaf, 1, leaf, bytes - leaf);
  int ends[2];
  SYS(pipe(ends));
  iovec part{p, part_pages * page};
  CHECK_EQ(SYS(vmsplice(ends[1], &part, 1, 0)), part_pages * page);
  promote_all(fd);
  CHECK_FILLED(p, 2, 0, leaf);
  CHECK_PAGES(p + leaf, 1, leaf, bytes - leaf);
  write_filled(fd, 3, leaf, leaf);  // what was not copied yet goes on showing the file
  CHECK_FILLED(p + leaf, 3, leaf, leaf);
  demote_all(fd);
  write_filled(fd, 4, leaf, leaf);
  CHECK_FILLED(p + leaf, 4, leaf, leaf);
  CHECK_FILLED(p, 2, 0, leaf);
  check_file(fd, 1, 0, leaf);
}

// Who was killed holds nothing any more.
TEST(held_by_nobody_after_sigkill) {
  int fd = make_small("f", 1);
  auto* gate = shared<Gate>();
  pid_t child = harness::spawn([&] {
    int ends[2];
    SYS(pipe(ends));
    char* m = map(fd, bytes, rw, MAP_SHARED);
    CHECK_PAGES(m, 1, 0, bytes);
    iovec part{m + leaf, part_pages * page};
    CHECK_EQ(SYS(vmsplice(ends[1], &part, 1, 0)), part_pages * page);
    gate->open();
    pause();
  });
  gate->wait();
  check_busy(fd);
  SYS(kill(child, SIGKILL));
  harness::join_killed(child, SIGKILL);
  promote_all(fd);
  check_file(fd, 1, 0, bytes);
}
