// SPDX-License-Identifier: MIT
//
// System calls on files: reads, writes, removals.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "worker.h"

namespace torture {

void Worker::read_some() {
  File* file = any_file();
  if (!file) return;
  Range range = any_range(file->object, Sights::most);
  const Hand* into = nullptr;  // a private mapping of the same object
  if (random.one_in(4))
    into = any_hand_that([&](const Hand& h) {
      return h.own_words && (h.prot & PROT_WRITE) && h.object.id == file->object.id &&
             h.first <= range.first && range.last <= h.end();
    });
  Kind kind = into ? Kind::preadv_private : random.one_in(2) ? Kind::read : Kind::pread;
  begin(kind, file->object.id, range.first, range.last);
  Sights sights(file->object, range);
  ssize_t got;
  if (into) {
    iovec vector{into->address(range.first), range.bytes()};
    got = preadv(file->fd, &vector, 1, range.offset());
  } else if (kind == Kind::read) {
    lseek(file->fd, range.offset(), SEEK_SET);
    got = ::read(file->fd, buffer, range.bytes());
  } else {
    got = pread(file->fd, buffer, range.bytes(), range.offset());
  }
  done(got);
  if (got < 0 && !into) fail("read: %s", strerror(errno));
  if (got >= 0 && !into)
    check_pages(sights.all(), file->object, range, buffer, size_t(got), name_of(kind));
}

void Worker::write_some() {
  File* file = any_file(true);
  if (!file) return;
  const Record& record = control->records[file->object.record];
  Range range = any_range(file->object, random.one_in(8) ? slot_pages : 32);
  size_t bytes = range.bytes();
  if (record.ragged && random.one_in(2)) bytes -= 8 * random.below(page_words);
  int which = int(random.below(3));
  Kind kind = which == 0 ? Kind::write : which == 1 ? Kind::pwrite : Kind::pwritev;
  begin(kind, file->object.id, range.first, range.last);
  Change change(Change::write, file->object, range.first, range.last);
  fill_pages(buffer, file->object.id, range.first, range.pages(), change.stamp);
  ssize_t got;
  if (planted("write")) {
    got = ssize_t(bytes);
  } else if (kind == Kind::write) {
    lseek(file->fd, range.offset(), SEEK_SET);
    got = ::write(file->fd, buffer, bytes);
  } else if (kind == Kind::pwrite) {
    got = pwrite(file->fd, buffer, bytes, range.offset());
  } else {
    size_t cut = random.below(bytes / 8) * 8;
    iovec vectors[] = {{buffer, cut}, {reinterpret_cast<char*>(buffer) + cut, bytes - cut}};
    got = pwritev(file->fd, vectors, 2, range.offset());
  }
  if (done(got)) change.covered(range.first, range.first + uint32_t(size_t(got) / page_bytes));
}

// Also to a larger size, if it happens to be one: somebody else may have changed it.
void Worker::truncate_some() {
  File* file = any_file(true);
  if (!file) return;
  const Record& record = control->records[file->object.record];
  uint64_t size = random.one_in(6)   ? 0
                  : random.one_in(2) ? record.pages
                                     : random.below(record.pages);
  if (random.one_in(4)) size -= size % slot_pages;
  size *= page_bytes;
  if (record.ragged && size && random.one_in(2)) size -= 8 * random.below(page_words);
  struct stat status;
  bool extends = fstat(file->fd, &status) == 0 && size >= uint64_t(status.st_size);
  begin(extends ? Kind::extend : Kind::truncate, file->object.id, size, uint64_t(status.st_size));
  Change change(Change::removal, file->object, uint32_t(size / page_bytes), record.pages);
  if (done(planted("truncate") ? 0 : ftruncate(file->fd, off_t(size))))
    change.covered(uint32_t((size + page_bytes - 1) / page_bytes), record.pages);
}

// Punch and zero-range. Bytes that are no whole pages are zeroed, too.
void Worker::remove_some() {
  File* file = any_file(true);
  if (!file) return;
  const Record& record = control->records[file->object.record];
  Range range = any_range(file->object, random.one_in(4) ? record.pages : 48);
  bool punch = !random.one_in(3);
  // Zeroing fills holes; and without KEEP_SIZE it sets the size.
  if (!punch && range.pages() > slot_pages) range.last = range.first + slot_pages;
  bool keep = punch || random.one_in(2);
  uint64_t from = range.first * page_bytes, to = range.last * page_bytes;
  if (random.one_in(3)) from += 8 * random.below(page_words);
  if (random.one_in(3) && (keep || record.ragged)) to -= 8 * random.below(page_words);
  if (from >= to) return;
  int mode =
      (punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) | (keep ? FALLOC_FL_KEEP_SIZE : 0);
  begin(punch ? Kind::punch : Kind::zero_range, file->object.id, from, to);
  Change change(Change::removal, file->object, range.first, range.last);
  bool through =
      planted("punch") ? done(0) : done(fallocate(file->fd, mode, off_t(from), off_t(to - from)));
  // What is beyond the end of the file has nothing, and zero-range adds only zeros.
  if (through)
    change.covered(uint32_t((from + page_bytes - 1) / page_bytes), uint32_t(to / page_bytes));
}

void Worker::allocate_some() {
  File* file = any_file(true);
  if (!file) return;
  Range range = any_range(file->object, random.one_in(4) ? slot_pages : 64);
  bool keep = random.one_in(3);
  begin(keep ? Kind::fallocate_keep : Kind::fallocate, file->object.id, range.first, range.last);
  done(fallocate(file->fd, keep ? FALLOC_FL_KEEP_SIZE : 0, range.offset(), off_t(range.bytes())));
}

void Worker::remove_mapped() {
  Hand* hand = any_hand_that([](const Hand& h) { return h.shared && (h.prot & PROT_WRITE); });
  if (!hand) return;
  Range part = any_part(*hand, random.one_in(4) ? hand->pages : 48);
  begin(Kind::remove_mapped, hand->object.id, part.first, part.last);
  Change change(Change::removal, hand->object, part.first, part.last);
  if (done(madvise(hand->address(part.first), part.bytes(), MADV_REMOVE)))
    change.covered(part.first, part.last);
}

void Worker::seek_some() {
  File* file = any_file();
  if (!file) return;
  Range range = any_range(file->object, 1);
  begin(Kind::seek, file->object.id, range.first);
  done(lseek(file->fd, range.offset(), random.one_in(2) ? SEEK_DATA : SEEK_HOLE));
}

void Worker::splice_some() {
  File* file = any_file();
  int pipes[2];
  if (!file) return;
  Range range = any_range(file->object, 16);
  begin(Kind::splice, file->object.id, range.first, range.last);
  if (!(pipe2(pipes, O_CLOEXEC) == 0)) return end(-errno);
  Sights sights(file->object, range);
  loff_t offset = range.offset();
  ssize_t in = splice(file->fd, &offset, pipes[1], nullptr, range.bytes(), SPLICE_F_NONBLOCK);
  done(in);
  size_t got = 0;
  while (in > 0 && got < size_t(in)) {
    ssize_t here = ::read(pipes[0], reinterpret_cast<char*>(buffer) + got, size_t(in) - got);
    if (here <= 0) fail("read of a pipe with %zd bytes after %zu: %s", in, got, strerror(errno));
    got += size_t(here);
  }
  range.last = range.first + uint32_t(got / page_bytes);
  check_pages(sights.all(), file->object, range, buffer, got, "splice");
  close(pipes[0]);
  close(pipes[1]);
}

}  // namespace torture
