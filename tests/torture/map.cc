// SPDX-License-Identifier: MIT
//
// Mappings: made, cut, moved, protected, advised about, locked.
//
// Each thread has a zone of the address space, far below where the kernel puts
// mappings by itself; only there does it use MAP_FIXED.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <optional>

#include "worker.h"

namespace torture {
namespace {

constexpr uint64_t zone_bytes = 8ULL << 30;
constexpr int rw = PROT_READ | PROT_WRITE;

// While it lives, readers in other processes know that the hand is not to be trusted.
class Touch {
 public:
  explicit Touch(Hand& h) : hand(h) { hand.version.fetch_add(1); }
  ~Touch() { hand.version.fetch_add(1); }
  Touch(const Touch&) = delete;
  Touch& operator=(const Touch&) = delete;

 private:
  Hand& hand;
};

void copy_hand(Hand& to, const Hand& from) {
  to.pages = from.pages;
  to.first = from.first;
  to.object = from.object;
  to.prot = from.prot;
  to.shared = from.shared;
  to.may_write = from.may_write;
  to.own_words = from.own_words;
  to.private_id = from.private_id;
  to.at = from.at;
}

// A place in the zone: mostly one where slots of the file and of the address space
// coincide, at a boundary of 1 GiB or not; sometimes an odd one.
char* place_in_zone(Worker& w, uint32_t first, uint32_t pages) {
  uint64_t bytes = uint64_t(pages) * page_bytes, at;
  if (w.random.one_in(4)) {
    at = w.random.below((zone_bytes - bytes) / page_bytes) * page_bytes;
  } else if (pages >= 1U << 18 || w.random.one_in(3)) {
    at = (w.random.below(6) << 30) + uint64_t(first) * page_bytes % (1U << 30);
  } else {
    at = w.random.below((zone_bytes - bytes) / slot_bytes - 1) * slot_bytes +
         uint64_t(first) % slot_pages * page_bytes;
  }
  return w.zone + at;
}

bool overlap(const Hand& hand, const char* at, uint64_t bytes) {
  auto* from = reinterpret_cast<const char*>(hand.at);
  return from < at + bytes && at < from + uint64_t(hand.pages) * page_bytes;
}

// What a mapping at a fixed place would replace. A hand that lies wholly in it is left
// for the kernel to replace; others are unmapped.
void make_room(Worker& w, char* at, uint64_t bytes, const Hand* but = nullptr) {
  for (unsigned i = 0; i < hands_per_thread; i++) {
    Hand& hand = w.hands[i];
    if (!hand.at || &hand == but || !overlap(hand, at, bytes)) continue;
    auto* from = reinterpret_cast<char*>(hand.at);
    if (from >= at && from + uint64_t(hand.pages) * page_bytes <= at + bytes &&
        !w.random.one_in(3)) {
      Touch touch(hand);
      hand.at = nullptr;
    } else {
      w.unmap(hand);
    }
  }
}

// Since Linux 6.17 mremap(2) moves the mappings of a range one by one, and may stop halfway.
bool moves_one_by_one() {
  static const bool does = [] {
    utsname name{};
    unsigned major = 0, minor = 0;
    uname(&name);
    sscanf(name.release, "%u.%u", &major, &minor);
    return major > 6 || (major == 6 && minor >= 17);
  }();
  return does;
}

uint32_t fresh_private_id() { return private_bit | (control->last_private_id.fetch_add(1) + 1); }

}  // namespace

Hand* Worker::any_hand() {
  return any_hand_that([](const Hand&) { return true; });
}

Range Worker::any_range(const Object& object, uint32_t most) {
  uint32_t pages = control->records[object.record].pages;
  uint32_t first, count = uint32_t(random.between(1, random.one_in(4) ? most : (most + 7) / 8));
  if (pages > 1U << 18) {  // few places, or it would take all memory
    static constexpr uint32_t windows[] = {0, (1U << 18) - slot_pages,
                                           (1U << 18) + 18 * slot_pages};
    first = windows[random.below(3)] + uint32_t(random.below(2 * slot_pages));
  } else {
    first = uint32_t(random.below(pages));
  }
  if (random.one_in(4)) first -= first % slot_pages;
  if (first >= pages) first = pages - 1;
  return {first, first + count < pages ? first + count : pages};
}

Range Worker::any_part(const Hand& hand, uint32_t most) {
  Range range{};
  for (int attempt = 0; attempt < 4; attempt++) {
    range = any_range(hand.object, most);
    if (range.first >= hand.first && range.first < hand.end()) break;
    range.first = hand.first + uint32_t(random.below(hand.pages));
    range.last = range.first + uint32_t(random.between(1, most));
    if (hand.pages < 1U << 18) break;
  }
  if (range.last > hand.end()) range.last = hand.end();
  return range;
}

void Worker::map_some(File& file, Hand& hand) {
  const Record& record = control->records[file.object.record];
  if (hand.at) unmap(hand);
  Hand made{};
  made.object = file.object;
  made.shared = !random.one_in(4);
  static constexpr int prots[] = {
      rw, rw, rw, PROT_READ, PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC};
  made.prot = prots[random.below(std::size(prots))];
  if (made.shared && !file.writable) made.prot &= ~PROT_WRITE;
  made.may_write = !made.shared || file.writable;
  made.own_words = !made.shared && (made.prot & PROT_WRITE);
  made.private_id = made.shared ? 0 : fresh_private_id();
  if (record.pages == 0) return;
  // Mostly the whole file, often from an odd page on, sometimes beyond its end.
  if (random.one_in(3)) made.first = uint32_t(random.below(record.pages));
  made.pages = random.one_in(3) ? uint32_t(random.between(1, record.pages - made.first))
                                : record.pages - made.first;
  int flags = made.shared ? (random.one_in(4) ? MAP_SHARED_VALIDATE : MAP_SHARED) : MAP_PRIVATE;
  if (made.pages <= 64 && random.one_in(3)) flags |= MAP_POPULATE;
  if (made.pages <= 64 && random.one_in(8)) flags |= MAP_LOCKED;
  if (!made.shared && random.one_in(4)) flags |= MAP_NORESERVE;
  char* at = nullptr;
  if (random.one_in(2)) {
    flags |= MAP_FIXED;
    at = place_in_zone(*this, made.first, made.pages);
    make_room(*this, at, uint64_t(made.pages) * page_bytes, &hand);
  }
  begin(flags & MAP_FIXED        ? Kind::map_fixed
        : !made.shared           ? Kind::map_private
        : made.prot & PROT_WRITE ? Kind::map_shared_rw
                                 : Kind::map_shared_ro,
        made.object.id, made.first, made.end());
  if (!made.shared && file.writable && planted("private")) flags ^= MAP_PRIVATE ^ MAP_SHARED;
  void* got = mmap(at, made.pages * page_bytes, made.prot, flags, file.fd,
                   off_t(made.first) * off_t(page_bytes));
  if (!done(got == MAP_FAILED ? -1 : 0)) return;
  made.at = static_cast<uint64_t*>(got);
  Touch touch(hand);
  copy_hand(hand, made);
}

void Worker::map_file() {
  File* file = any_file();
  Hand* hand = nullptr;
  for (unsigned i = 0; i < hands_per_thread && !hand; i++)
    if (!hands[i].at || !known(hands[i].object)) hand = hands + i;
  if (!hand) hand = hands + random.below(hands_per_thread);
  if (file) map_some(*file, *hand);
}

void Worker::unmap(Hand& hand) {
  begin(Kind::munmap, hand.object.id, hand.first, hand.end());
  Touch touch(hand);
  if (!done(munmap(hand.at, hand.pages * page_bytes))) fail("munmap: %s", strerror(errno));
  hand.at = nullptr;
}

// Whole; or the head, the tail, or a hole, and what is left of it stays.
void Worker::unmap_some() {
  Hand* hand = any_hand();
  if (!hand) return;
  if (random.one_in(2) || hand->pages == 1) return unmap(*hand);
  Range part = any_part(*hand, hand->pages);
  if (random.one_in(3)) part.first = hand->first;
  if (random.one_in(3)) part.last = hand->end();
  Hand* rest = nullptr;
  for (unsigned i = 0; i < hands_per_thread; i++)
    if (!hands[i].at) rest = hands + i;
  if (part.first > hand->first && part.last < hand->end() && !rest) part.last = hand->end();
  begin(Kind::munmap_part, hand->object.id, part.first, part.last);
  Touch touch(*hand);
  if (!done(munmap(hand->address(part.first), part.bytes())))
    fail("munmap of a part: %s", strerror(errno));
  if (part.first == hand->first) {
    uint32_t end = hand->end();
    hand->at = part.last < end ? hand->address(part.last) : nullptr;
    hand->first = part.last;
    hand->pages = end - part.last;
    return;
  }
  if (part.last < hand->end()) {
    Touch touch_rest(*rest);
    Hand tail{};
    copy_hand(tail, *hand);
    tail.at = hand->address(part.last);
    tail.first = part.last;
    tail.pages = hand->end() - part.last;
    copy_hand(*rest, tail);
  }
  hand->pages = part.first - hand->first;
}

void Worker::shrink_some() {
  Hand* hand = any_hand_that([](const Hand& h) { return h.pages > 1; });
  if (!hand) return;
  auto left = uint32_t(random.between(1, hand->pages - 1));
  begin(Kind::mremap_shrink, hand->object.id, hand->first, hand->first + left);
  Touch touch(*hand);
  void* got = mremap(hand->at, hand->pages * page_bytes, left * page_bytes, 0);
  if (!done(got == MAP_FAILED ? -1 : 0)) return;
  hand->pages = left;
}

void Worker::move_some() {
  Hand* hand = any_hand();
  if (!hand) return;
  bool keep = random.one_in(8);
  uint64_t bytes = uint64_t(hand->pages) * page_bytes;
  char* to = place_in_zone(*this, hand->first, hand->pages);
  if (overlap(*hand, to, bytes)) return;
  make_room(*this, to, bytes, hand);
  begin(keep ? Kind::mremap_dontunmap : Kind::mremap_move, hand->object.id, hand->first,
        hand->end());
  Touch touch(*hand);
  void* got = mremap(hand->at, bytes, bytes,
                     MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? 4 /* DONTUNMAP */ : 0), to);
  if (!done(got == MAP_FAILED ? -1 : 0)) {
    if (!moves_one_by_one()) return;
    // What is where now is not told.
    munmap(hand->at, bytes);
    munmap(to, bytes);
    hand->at = nullptr;
    return;
  }
  if (keep) munmap(hand->at, bytes);
  hand->at = static_cast<uint64_t*>(got);
}

// morselfs refuses; where it does not, the mapping is larger now.
void Worker::grow_some() {
  Hand* hand = any_hand();
  if (!hand) return;
  auto more = uint32_t(random.between(1, 100));
  if (hand->end() + more > control->records[hand->object.record].pages) return;
  begin(Kind::mremap_grow, hand->object.id, hand->first, hand->end() + more);
  Touch touch(*hand);
  void* got =
      mremap(hand->at, hand->pages * page_bytes, (hand->pages + more) * page_bytes, MREMAP_MAYMOVE);
  if (!done(got == MAP_FAILED ? -1 : 0)) return;
  hand->at = static_cast<uint64_t*>(got);
  hand->pages += more;
}

// The whole hand in the end; on the way, parts of it with other rights.
void Worker::protect_some() {
  Hand* hand = any_hand();
  if (!hand) return;
  static constexpr int prots[] = {PROT_READ, rw, rw, PROT_NONE, PROT_READ | PROT_EXEC, PROT_WRITE};
  int prot = prots[random.below(std::size(prots))];
  Touch touch(*hand);
  for (int i = int(random.below(3)); i > 0; i--) {
    Range part = any_part(*hand, hand->pages);
    begin(Kind::mprotect, hand->object.id, part.first, part.last);
    done(mprotect(hand->address(part.first), part.bytes(), i % 2 ? PROT_READ : PROT_NONE));
  }
  begin(Kind::mprotect, hand->object.id, hand->first, hand->end());
  bool changed = done(mprotect(hand->at, hand->pages * page_bytes, prot));
  if (changed && (prot & PROT_WRITE) && !hand->may_write)
    fail("mprotect(PROT_WRITE) of a shared mapping of a read-only descriptor: expected EACCES");
  if (!changed) {
    if (hand->may_write || !(prot & PROT_WRITE)) fail("mprotect: %s", strerror(errno));
    prot = PROT_READ;
    if (mprotect(hand->at, hand->pages * page_bytes, prot) != 0)
      fail("mprotect(PROT_READ): %s", strerror(errno));
  }
  hand->prot = prot;
  hand->own_words |= !hand->shared && (prot & PROT_WRITE);
}

void Worker::advise_some() {
  static constexpr struct {
    Kind kind;
    int number;
  } advices[] = {
#define ADVICE(name, number) {Kind::advise_##name, number},
      TORTURE_ADVICES(ADVICE)
#undef ADVICE
  };
  Hand* hand = any_hand();
  if (!hand) return;
  auto& advice = advices[random.below(std::size(advices))];
  bool populates = advice.number == 22 || advice.number == 23;
  Range part = any_part(*hand, populates ? 64 : hand->pages);
  begin(advice.kind, hand->object.id, part.first, part.last);
  std::optional<Touch> touch;  // until the guards are gone, loads through them raise SIGSEGV
  if (advice.number == 102) touch.emplace(*hand);
  done(madvise(hand->address(part.first), part.bytes(), advice.number));
  // The children of fork look at all mappings; and guards would be in the way of all.
  if (advice.number == 10) madvise(hand->address(part.first), part.bytes(), 11);
  if (advice.number == 102) madvise(hand->address(part.first), part.bytes(), 103);
}

void Worker::lock_some() {
  Hand* hand = any_hand();
  if (!hand) return;
  Range part = any_part(*hand, 256);
  void* at = hand->address(part.first);
  unsigned which = unsigned(random.below(4));
  Kind kind = which == 0 ? Kind::mlock : which == 1 ? Kind::mlock2 : Kind::munlock;
  begin(kind, hand->object.id, part.first, part.last);
  done(which == 0   ? mlock(at, part.bytes())
       : which == 1 ? int(syscall(SYS_mlock2, at, part.bytes(), 1))
                    : munlock(at, part.bytes()));
}

void Worker::look_at_residency() {
  Hand* hand = any_hand();
  if (!hand) return;
  Range part = any_part(*hand, hand->pages);
  if (random.one_in(2)) {
    begin(Kind::mincore, hand->object.id, part.first, part.last);
    done(
        mincore(hand->address(part.first), part.bytes(), reinterpret_cast<unsigned char*>(buffer)));
  } else {
    static constexpr int flags[] = {MS_ASYNC, MS_SYNC, MS_SYNC | MS_INVALIDATE};
    begin(Kind::msync, hand->object.id, part.first, part.last);
    done(msync(hand->address(part.first), part.bytes(), flags[random.below(3)]));
  }
}

}  // namespace torture
