// SPDX-License-Identifier: MIT
//
// Random operations on a file and on an array of bytes: both must agree at every
// step. The seeds are fixed; MORSELS_TEST_SEED and MORSELS_TEST_STEPS change them.
#include <algorithm>
#include <vector>

#include "../vm/model.h"
#include "files.h"

namespace {

constexpr size_t most = 3 * leaf + 5 * page;

class Game {
 public:
  explicit Game(uint64_t seed) : random{seed}, bytes(most), buffer(most) {
    fd = SYS(open(".", O_RDWR | O_TMPFILE, 0600));
    m = map(fd, most, rw, MAP_SHARED);
    r = map(fd, most, PROT_READ, MAP_SHARED);
  }
  ~Game() {
    munmap(m, most);
    munmap(r, most);
    close(fd);
  }

  void play(size_t steps) {
    for (size_t i = 0; i < steps; i++) {
      step();
      CHECK_EQ(status(fd).st_size, size);
      if (i % 100 == 99) compare(0, size);
    }
    compare(0, size);
  }

 private:
  Random random;
  std::vector<unsigned char> bytes, buffer;
  size_t size = 0;
  int fd;
  char *m, *r;

  size_t offset() {  // often at or near a border of a page or a leaf
    size_t at = random.below(most);
    if (random.one_in(3))
      at = at / page * page + (random.one_in(2) ? 0 : random.below(3) - 1);
    else if (random.one_in(4))
      at = at / leaf * leaf + (random.one_in(2) ? 0 : random.below(3) - 1);
    return at < most ? at : 0;
  }
  size_t length(size_t max) {
    size_t n = random.one_in(2)   ? 1 + random.below(100)
               : random.one_in(2) ? 1 + random.below(3 * page)
               : random.one_in(2) ? page * (1 + random.below(100))
                                  : 1 + random.below(leaf + page);
    return n < max ? n : max;
  }
  void invent(size_t n) {
    uint64_t x = random.next();
    for (size_t i = 0; i < n; i++)
      buffer[i] = static_cast<unsigned char>((x = x * 0x5851f42d4c957f2d + 1) >> 56);
  }

  void compare(size_t from, size_t n) {
    ssize_t got = SYS(pread(fd, buffer.data(), n, off_t(from)));
    CHECK_EQ(got, n);
    for (size_t i = 0; i < n; i++)
      if (buffer[i] != bytes[from + i])
        FAIL("byte 0x%zx: expected 0x%x, read 0x%x", from + i, bytes[from + i], buffer[i]);
  }
  void compare_mapped(const char* mapping, size_t from, size_t n) {
    for (size_t i = from; i < from + n; i++)
      if (static_cast<unsigned char>(mapping[i]) != bytes[i])
        FAIL("byte 0x%zx: expected 0x%x, mapped 0x%x", i, bytes[i], mapping[i] & 0xff);
  }

  void write_some() {
    size_t from = offset(), n = length(most - from);
    invent(n);
    CHECK_EQ(SYS(pwrite(fd, buffer.data(), n, off_t(from))), n);
    std::copy_n(buffer.begin(), n, bytes.begin() + long(from));
    size = from + n > size ? from + n : size;
  }
  void store_some() {
    if (size == 0) return;
    size_t from = offset() % size, n = length(size - from);
    n = n < 4 * page ? n : 4 * page;
    invent(n);
    memcpy(m + from, buffer.data(), n);
    std::copy_n(buffer.begin(), n, bytes.begin() + long(from));
  }
  void truncate_to(size_t now) {
    SYS(ftruncate(fd, off_t(now)));
    if (now < size) std::fill(bytes.begin() + long(now), bytes.begin() + long(size), 0);
    size = now;
  }
  void clear(int mode) {
    size_t from = offset(), n = length(most - from);
    if (fallocate(fd, mode, off_t(from), off_t(n)) != 0) {
      CHECK(errno == EOPNOTSUPP && (mode & FALLOC_FL_ZERO_RANGE) && !harness::is_morselfs());
      return;
    }
    size_t end = from + n;
    if (!(mode & FALLOC_FL_KEEP_SIZE) && end > size) size = end;
    std::fill(bytes.begin() + long(from), bytes.begin() + long(end), 0);
  }
  void allocate(int mode) {
    size_t from = offset(), n = length(most - from);
    SYS(fallocate(fd, mode, off_t(from), off_t(n)));
    if (!mode && from + n > size) size = from + n;
  }

  void step() {
    size_t from = offset(), n;
    switch (random.below(16)) {
      case 0:
      case 1:
      case 2:
        return write_some();
      case 3:
      case 4:
      case 5:
        return store_some();
      case 6:
        return truncate_to(offset());
      case 7:
        return truncate_to(size + random.below(most - size));
      case 8:
        return clear(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
      case 9:
        return clear(FALLOC_FL_ZERO_RANGE | (random.one_in(2) ? FALLOC_FL_KEEP_SIZE : 0));
      case 10:
        return allocate(random.one_in(2) ? FALLOC_FL_KEEP_SIZE : 0);
      case 11:
        SYS(msync(m, most, MS_SYNC));
        return;
      case 12:  // an address space that begins anew
        SYS(munmap(m, most));
        m = map(fd, most, rw, MAP_SHARED);
        return;
      default:
        if (from >= size) return;
        n = length(size - from);
        n = n < 8 * page ? n : 8 * page;
        if (random.one_in(2))
          compare(from, n);
        else
          compare_mapped(random.one_in(2) ? m : r, from, n);
    }
  }
};

}  // namespace

TEST(model_random_operations) {
  const char* steps = getenv("MORSELS_TEST_STEPS");
  const char* one = getenv("MORSELS_TEST_SEED");
  for (uint64_t seed : {1, 2, 3})
    Game(one ? strtoull(one, nullptr, 0) : seed).play(steps ? strtoul(steps, nullptr, 0) : 200);
}
