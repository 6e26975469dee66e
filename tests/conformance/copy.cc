// SPDX-License-Identifier: MIT
//
// Copies that the kernel makes: sendfile, splice, tee, copy_file_range.
#include <thread>

#include <sys/sendfile.h>
#include <sys/socket.h>

#include "files.h"

namespace {
constexpr size_t bytes = leaf + 5 * page + 104;
}

TEST(copy_sendfile) {
  int from = make_file("f", 1, bytes), to = create("g");
  off_t at = 0;
  while (size_t(at) < bytes) CHECK(SYS(sendfile(to, from, &at, bytes)) > 0);
  CHECK_EQ(at, bytes);
  check_file(to, 1, 0, bytes);
  CHECK_EQ(sendfile(to, from, &at, bytes), 0);
  int ends[2];
  SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  std::thread sender([&] {
    off_t where = 0;
    while (size_t(where) < bytes) CHECK(SYS(sendfile(ends[1], from, &where, bytes)) > 0);
  });
  char* buffer = map(-1, bytes, rw, MAP_PRIVATE | MAP_ANONYMOUS);
  for (size_t got = 0; got < bytes;)
    got += size_t(SYS(recv(ends[0], buffer + got, bytes - got, 0)));
  sender.join();
  CHECK_FILLED(buffer, 1, 0, bytes);
}

TEST(copy_splice) {
  int from = make_file("f", 1, bytes), to = create("g"), ends[2];
  SYS(pipe(ends));
  loff_t in = 0, out = 0;
  while (size_t(in) < bytes) {
    ssize_t got = SYS(splice(from, &in, ends[1], nullptr, 9 * page, SPLICE_F_MOVE));
    CHECK(got > 0);
    for (ssize_t left = got; left > 0;)
      left -= SYS(splice(ends[0], nullptr, to, &out, size_t(left), 0));
  }
  CHECK_EQ(splice(from, &in, ends[1], nullptr, page, 0), 0);
  check_file(to, 1, 0, bytes);
  in = page + 1;  // odd offsets
  out = 3;
  CHECK_EQ(SYS(splice(from, &in, ends[1], nullptr, 1000, 0)), 1000);
  CHECK_EQ(SYS(splice(ends[0], nullptr, to, &out, 1000, 0)), 1000);
  char a[1000], b[1000];
  CHECK_EQ(pread(from, a, 1000, page + 1), 1000);
  CHECK_EQ(pread(to, b, 1000, 3), 1000);
  CHECK(memcmp(a, b, 1000) == 0);
}

TEST(copy_splice_of_holes) {
  int from = make_sparse("f", bytes), ends[2];
  write_filled(from, 1, 2 * page, page);
  SYS(pipe(ends));
  loff_t in = 0;
  char buffer[4 * page];
  for (size_t got = 0; got < 4 * page;)
    got += size_t(SYS(splice(from, &in, ends[1], nullptr, 4 * page - got, 0)));
  for (size_t got = 0; got < 4 * page;)
    got += size_t(SYS(read(ends[0], buffer + got, 4 * page - got)));
  CHECK_ZERO(buffer, 2 * page);
  CHECK_FILLED(buffer + 2 * page, 1, 2 * page, page);
  CHECK_ZERO(buffer + 3 * page, page);
}

TEST(copy_tee) {
  int from = make_file("f", 1, bytes), a[2], b[2];
  SYS(pipe(a));
  SYS(pipe(b));
  loff_t in = 0;
  ssize_t got = SYS(splice(from, &in, a[1], nullptr, 4 * page, 0));
  CHECK_EQ(SYS(tee(a[0], b[1], size_t(got), 0)), got);
  char buffer[4 * page];
  for (int end : {a[0], b[0]}) {
    CHECK_EQ(read(end, buffer, size_t(got)), got);
    CHECK_FILLED(buffer, 1, 0, size_t(got));
  }
}

// What lies in a pipe stays when the file is cut off and its memory reused.
TEST(copy_splice_then_truncate) {
  int from = make_file("f", 1, bytes), ends[2];
  SYS(pipe(ends));
  loff_t in = page;
  ssize_t got = SYS(splice(from, &in, ends[1], nullptr, 8 * page, 0));
  SYS(ftruncate(from, 0));
  int other = make_file("g", 2, 2 * bytes);
  char buffer[8 * page];
  CHECK_EQ(read(ends[0], buffer, size_t(got)), got);
  CHECK_FILLED(buffer, 1, page, size_t(got));
  check_file(other, 2, 0, 2 * bytes);
}

TEST(copy_file_range) {
  int from = make_file("f", 1, bytes), to = create("g");
  loff_t in = 0, out = 0;
  while (size_t(in) < bytes) CHECK(SYS(copy_file_range(from, &in, to, &out, bytes, 0)) > 0);
  check_file(to, 1, 0, bytes);
  in = 8;
  out = leaf + 16;
  CHECK_EQ(SYS(copy_file_range(from, &in, to, &out, 3 * page, 0)), 3 * page);
  char a[3 * page], b[3 * page];
  CHECK_EQ(pread(from, a, sizeof a, 8), sizeof a);
  CHECK_EQ(pread(to, b, sizeof b, leaf + 16), sizeof b);
  CHECK(memcmp(a, b, sizeof a) == 0);
  in = 0;
  out = page;
  SYS_ERR(copy_file_range(to, &in, to, &out, 2 * page, 0), EINVAL);  // over itself
  in = off_t(bytes);
  CHECK_EQ(copy_file_range(from, &in, to, nullptr, page, 0), 0);
  SYS_ERR(copy_file_range(from, nullptr, to, nullptr, page, 1), EINVAL);
}

TEST(copy_with_the_descriptor_s_position) {
  int from = make_file("f", 1, 3 * page), to = create("g");
  SYS(lseek(from, page, SEEK_SET));
  size_t done = 0;
  while (done < 2 * page) {
    ssize_t got = SYS(sendfile(to, from, nullptr, 2 * page - done));
    CHECK(got > 0);
    done += size_t(got);
  }
  CHECK_EQ(lseek(from, 0, SEEK_CUR), 3 * page);
  CHECK_EQ(lseek(to, 0, SEEK_CUR), 2 * page);
  char buffer[page];
  CHECK_EQ(pread(to, buffer, page, 0), page);
  CHECK_FILLED(buffer, 1, page, page);
}

// write(2) out of a mapping of this file system into this file system.
TEST(copy_from_mapping_to_file) {
  int from = make_file("f", 1, bytes), to = create("g");
  char* m = map(from, bytes, PROT_READ, MAP_SHARED);
  CHECK_EQ(write(to, m, bytes), bytes);
  check_file(to, 1, 0, bytes);
  char* n = map(to, bytes, rw, MAP_SHARED);
  fill(n, 2, 0, bytes);
  SYS(lseek(from, 0, SEEK_SET));
  CHECK_EQ(read(from, n, bytes), bytes);
  check_file(to, 1, 0, bytes);
}
