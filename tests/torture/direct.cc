// SPDX-License-Identifier: MIT
//
// Devices write into mappings and read from them: O_DIRECT on the scratch disk, and
// io_uring with a registered buffer, whose pages stay pinned whatever becomes of the
// object.
#include <sys/mman.h>
#include <unistd.h>

#include "worker.h"

namespace torture {

void Worker::direct_in() {
  Hand* hand = any_hand_that([](const Hand& h) { return h.shared; });
  if (disk < 0 || !hand) return;
  Range part = any_part(*hand, disk_bytes / page_bytes);
  bool allowed = hand->prot & PROT_WRITE;
  begin(allowed ? Kind::direct_in : Kind::direct_in_refused, hand->object.id, part.first,
        part.last);
  Change change(Change::write, hand->object, part.first, part.last);
  fill_pages(buffer, hand->object.id, part.first, part.pages(), change.stamp);
  if (pwrite(disk, buffer, part.bytes(), disk_at) != ssize_t(part.bytes())) return end(-EIO);
  ssize_t got = pread(disk, hand->address(part.first), part.bytes(), disk_at);
  if (!allowed) {
    if (got > 0)
      fail("O_DIRECT: read %zd bytes into a read-only mapping, page 0x%x of object %u", got,
           part.first, hand->object.id);
    return end(0);
  }
  done(got);
  if (got > 0) change.covered(part.first, part.first + uint32_t(size_t(got) / page_bytes));
}

void Worker::direct_out() {
  Hand* hand = any_hand_that([](const Hand& h) { return h.prot != PROT_NONE; });
  if (disk < 0 || !hand) return;
  Range part = any_part(*hand, disk_bytes / page_bytes);
  begin(Kind::direct_out, hand->object.id, part.first, part.last);
  Sights sights(hand->object, part);
  ssize_t out = pwrite(disk, hand->address(part.first), part.bytes(), disk_at);
  done(out);
  if (out <= 0) return;
  if (pread(disk, buffer, size_t(out), disk_at) != out)
    fail("read of the scratch disk: %s", strerror(errno));
  part.last = part.first + uint32_t(size_t(out) / page_bytes);
  check_pages(sights.all(), hand->object, part, buffer, size_t(out), "O_DIRECT out of a mapping",
              hand->own_words ? hand->private_id : 0);
}

void Worker::ring_register() {
  Hand* hand = any_hand_that([](const Hand& h) { return h.shared; });
  if (!hand) return;
  if (random.one_in(6)) ring.close();
  Range part = any_part(*hand, slot_pages);
  begin(Kind::uring_register, hand->object.id, part.first, part.last);
  if (!ring.open()) return end(-errno);
  if (!done(ring.register_buffer(hand->address(part.first), part.bytes()) ? 0 : -1)) return;
  if (!(hand->prot & PROT_WRITE)) fail("io_uring registered a read-only mapping as a buffer");
  ring.object = hand->object;
  ring.first = part.first;
  ring.pages = part.pages();
  ring.at = hand->address(part.first);
}

static Range part_of_ring(Worker& w) {
  Ring& ring = w.ring;
  uint32_t first = ring.first + uint32_t(w.random.below(ring.pages));
  auto last = uint32_t(first + w.random.between(1, Worker::disk_bytes / page_bytes));
  return {first, last < ring.first + ring.pages ? last : ring.first + ring.pages};
}

// The pages may be nobody's but the ring's by now: a write says nothing about the object.
void Worker::ring_in() {
  if (disk < 0 || !ring.object.id) return;
  Range part = part_of_ring(*this);
  begin(Kind::uring_in, ring.object.id, part.first, part.last);
  Change change(Change::write, ring.object, part.first, part.last);
  fill_pages(buffer, ring.object.id, part.first, part.pages(), change.stamp);
  if (pwrite(disk, buffer, part.bytes(), disk_at) != ssize_t(part.bytes())) return end(-EIO);
  end(ring.transfer(IORING_OP_READ_FIXED, disk, ring.at + (part.first - ring.first) * page_words,
                    part.bytes(), disk_at));
}

// As above: old words of the object are right, too; nothing else is.
void Worker::ring_out() {
  if (disk < 0 || !ring.object.id) return;
  Range part = part_of_ring(*this);
  begin(Kind::uring_out, ring.object.id, part.first, part.last);
  Sights sights(ring.object, part);
  int out = ring.transfer(IORING_OP_WRITE_FIXED, disk,
                          ring.at + (part.first - ring.first) * page_words, part.bytes(), disk_at);
  end(out);
  if (out <= 0) return;
  if (pread(disk, buffer, size_t(out), disk_at) != out)
    fail("read of the scratch disk: %s", strerror(errno));
  part.last = part.first + uint32_t(size_t(out) / page_bytes);
  check_pages(sights.all(), ring.object, part, buffer, size_t(out), "io_uring out of pinned pages",
              private_bit);
}

}  // namespace torture
