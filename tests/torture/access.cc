// SPDX-License-Identifier: MIT
//
// The CPU's own loads and stores, allowed and refused ones.
#include <signal.h>
#include <sys/mman.h>

#include "guard.h"
#include "worker.h"

namespace torture {

Sights::Sights(const Object& object, Range range) {
  auto* at = reinterpret_cast<Sight*>(storage);
  for (uint32_t i = 0; i < range.pages() && i < most; i++)
    new (at + i) Sight(object, range.first + i);
}

void Worker::check_pages(const Sight* sights, const Object& object, Range range,
                         const uint64_t* from, size_t bytes, const char* how, uint32_t private_id) {
  for (uint32_t i = 0; i < range.pages() && i < Sights::most; i++) {
    size_t here = bytes < page_bytes ? bytes : page_bytes;
    // The kernel gave less than it was asked for: is there really no more?
    if (here < page_bytes && !private_id && sights[i].must_be_there())
      fail("%s: object %u, page 0x%x, the %u. of %u: expected all of it, got %zu bytes", how,
           object.id, range.first + i, i + 1, range.pages(), here);
    sights[i].check(from + i * page_words, 0, here / 8, how, private_id);
    bytes -= here;
  }
}

static uint32_t words_of(const Hand& hand) { return hand.own_words ? hand.private_id : 0; }

bool Worker::load_page(const Hand& hand, uint32_t page, unsigned words) {
  alignas(64) uint64_t copy[page_words];
  auto place = unsigned(random.below(page_words - words + 1));
  Sight sight(hand.object, page);
  // As if a table entry led to a neighbour's frame.
  uint32_t from = page + 1 < hand.end() && planted("page") ? page + 1 : page;
  int signal = load_words(copy, hand.address(from) + place, words);
  if (signal == SIGSEGV)
    fail("load of page 0x%x of object %u at %p: SIGSEGV in a readable mapping", page,
         hand.object.id, static_cast<void*>(hand.address(page)));
  if (signal == SIGBUS && !hand.own_words && sight.must_be_there())
    fail("load of page 0x%x of object %u at %p: SIGBUS, and the page can't have been removed", page,
         hand.object.id, static_cast<void*>(hand.address(page)));
  if (signal) return false;
  sight.check(copy, place, words, hand.shared ? "load" : "load from a private mapping",
              words_of(hand));
  return true;
}

static bool readable(const Hand& hand) { return hand.prot != PROT_NONE; }
static bool writable(const Hand& hand) { return hand.prot & PROT_WRITE; }

void Worker::load_some() {
  Hand* hand = any_hand_that(readable);
  if (!hand) return;
  Range part = any_part(*hand, random.one_in(4) ? 256 : 16);
  begin(Kind::load, hand->object.id, part.first, part.last);
  int64_t seen = 0;
  for (uint32_t page = part.first; page < part.last; page++)
    seen += load_page(*hand, page, random.one_in(8) ? page_words : 4);
  end(seen ? seen : -EFAULT);
}

// Through a mapping of another thread of this process, which may be changing it.
void Worker::load_of_others() {
  if (options.threads < 2) return;
  unsigned base = me / options.threads * options.threads;
  auto other =
      unsigned(base + (me - base + random.between(1, options.threads - 1)) % options.threads);
  Hand& hand = control->thread[other].hands[random.below(hands_per_thread)];
  uint32_t version = hand.version;
  Hand copy{};
  copy.at = hand.at;
  copy.pages = hand.pages;
  copy.first = hand.first;
  copy.object = hand.object;
  copy.prot = hand.prot;
  copy.shared = hand.shared;
  copy.own_words = hand.own_words;
  copy.private_id = hand.private_id;
  if (version % 2 || hand.version != version || !copy.at || !readable(copy)) return;
  uint32_t page = copy.first + uint32_t(random.below(copy.pages < 4096 ? copy.pages : 4096));
  begin(Kind::load_of_others, copy.object.id, page, page + 1);
  uint64_t words[page_words];
  Sight sight(copy.object, page);
  int signal = load_words(words, copy.address(page), page_words);
  if (hand.version != version) return end(-EAGAIN);  // whatever it was, it was in the way
  if (signal == SIGSEGV)
    fail("load of page 0x%x of object %u through thread %u's mapping: SIGSEGV", page,
         copy.object.id, other);
  if (signal == SIGBUS && !copy.own_words && sight.must_be_there())
    fail("load of page 0x%x of object %u through thread %u's mapping: SIGBUS", page, copy.object.id,
         other);
  if (!signal)
    sight.check(words, 0, page_words, "load through another thread's mapping", words_of(copy));
  end(signal ? -EFAULT : 1);
}

// Pages that were stored to, all of each. False if there were none.
bool Worker::store_pages(Hand& hand, Range range) {
  uint64_t words[page_words];
  if (!hand.shared) {
    uint32_t stored = 0;
    for (uint32_t page = range.first; page < range.last; page++) {
      fill_page(words, hand.private_id, page, control->clock);
      stored += store_words(hand.address(page), words, page_words) == 0;
    }
    return stored;
  }
  Change change(Change::write, hand.object, range.first, range.last);
  uint32_t run = range.first;
  bool any = false;
  for (uint32_t page = range.first; page < range.last; page++) {
    Sight sight(hand.object, page);
    fill_page(words, hand.object.id, page, change.stamp);
    int signal = store_words(hand.address(page), words, page_words);
    if (signal == SIGSEGV)
      fail("store to page 0x%x of object %u at %p: SIGSEGV in a writable mapping", page,
           hand.object.id, static_cast<void*>(hand.address(page)));
    if (signal == SIGBUS && sight.must_be_there())
      fail("store to page 0x%x of object %u at %p: SIGBUS, and the page can't have been removed",
           page, hand.object.id, static_cast<void*>(hand.address(page)));
    if (signal) {
      change.covered(run, page);
      run = page + 1;
    }
    any |= !signal;
  }
  change.covered(run, range.last);
  return any;
}

void Worker::store_some() {
  Hand* hand = any_hand_that(writable);
  if (!hand) return;
  Range part = any_part(*hand, random.one_in(6) ? 128 : 12);
  begin(hand->shared ? Kind::store : Kind::store_private, hand->object.id, part.first, part.last);
  end(store_pages(*hand, part) ? part.pages() : -EFAULT);
}

void Worker::store_refused() {
  Hand* hand = any_hand_that([](const Hand& h) { return !writable(h); });
  if (!hand) return;
  Range part = any_part(*hand, 4);
  begin(Kind::store_refused, hand->object.id, part.first, part.last);
  for (uint32_t page = part.first; page < part.last; page++) {
    if (random.one_in(2) && readable(*hand)) load_page(*hand, page, 1);  // so that it is mapped
    uint64_t nonsense = ~random.next();
    if (int signal = store_words(hand->address(page) + 5, &nonsense, 1); signal != SIGSEGV)
      fail(
          "store through a mapping without the right to write, page 0x%x of object %u: expected "
          "SIGSEGV, seen signal %d",
          page, hand->object.id, signal);
  }
  end(0);
}

void Worker::load_refused() {
  Hand* hand = any_hand_that([](const Hand& h) { return !readable(h); });
  if (!hand) return;
  Range part = any_part(*hand, 4);
  begin(Kind::load_refused, hand->object.id, part.first, part.last);
  uint64_t seen;
  for (uint32_t page = part.first; page < part.last; page++)
    if (int signal = load_words(&seen, hand->address(page), 1); signal != SIGSEGV)
      fail("load through PROT_NONE, page 0x%x of object %u: expected SIGSEGV, seen signal %d", page,
           hand->object.id, signal);
  end(0);
}

}  // namespace torture
