/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// Which frames of a pool are free. In memory only: every mount claims what it reaches. The ideas
// are LLFree's (Wrenger et al., USENIX ATC 2023): areas of 512 frames with a bit field and a count
// each, CPUs that take from areas of their own, compare-and-swap and nothing else.
//
// The bits say who owns a frame. The count of an area is a stock of *tickets*: who takes a ticket
// will find a clear bit, because the bit is cleared before its ticket is given back, and the ticket
// is taken before the bit is set:
//
//   clear bits = free + tickets taken whose bit is not set yet + bits cleared whose ticket is not
//                given back yet
//
// claim() wants a certain frame and takes its ticket on credit: `free` is below 0 for a moment if
// others hold all tickets. One of them then finds no bit and gives its ticket back.
// All 512 tickets taken at once are a whole area: nobody else holds one, so all bits are clear.
// Whether an area is one allocation of 2 MiB is not kept: after a mount nobody would know.
//
// Above the areas three sets say where to look (bit_tree.h), so that no get walks through the pool:
//
//   some     free > 0: single frames, when there are no better ones
//   whole    free = 512: 2 MiB
//   partial  free > 0, not whole, and no slot's own: single frames come from here first
//
// Orders. A frame's contents: put() releases them with the exchange that clears the bit, get()
// acquires them with the one that sets it; that others are exchanged in between breaks no chain, as
// all changes of a bit word are exchanges. A ticket: given back with release after its bit is
// clear, taken with acquire before looking for one. What an exchange of tickets begins with is only
// compared, and so relaxed. The sets are settled after a count has changed, and nobody trusts them:
// a number that is in a set is tried, no more. Slots' areas are such guesses, too.
#pragma once

#include "bit_tree.h"
#include "result.h"

namespace morsel::core {

/// Thread safety: everything but init() at any time, lock-free. But while a get of 2 MiB is under
/// way, claim() may find frames used that this get looks at and then gives back.
template <class Atomic = HardwareAtomic>
class BasicFrameAllocator {
 public:
  /// A multiple of 64. The storage is best aligned like that, too.
  static constexpr u64 storage_bytes(u64 frames, unsigned slots) {
    return layout(frames, slots).end;
  }

  /// Every frame is free. What is in the storage does not matter.
  void init(void* storage, u64 frames, unsigned slots) {
    const Layout at = layout(frames, slots);
    char* base = static_cast<char*>(storage);
    frames_ = frames;
    areas_ = areas_for(frames);
    slots_ = slots == 0 ? 1 : slots;
    area_ = reinterpret_cast<Area*>(base);
    slot_ = reinterpret_cast<Slot*>(base + at.slots);
    for (u64 slot = 0; slot < slots_; slot++) Atomic::init(slot_[slot].area, 0UL);
    for (u64 area = 0; area < areas_; area++) {
      for (u64& word : area_[area].used) Atomic::init(word, 0UL);
      const u64 rest = frames - area * area_frames;
      const u64 free = rest < area_frames ? rest : area_frames;
      Atomic::init(area_[area].state, State{static_cast<short>(free), 0});
      for (u64 frame = free; frame < area_frames; frame += 64 - frame % 64)  // there are none
        Atomic::init(area_[area].used[frame / 64], ~0UL << frame % 64);
    }
    const u64 whole = frames / area_frames;
    some_.init(base + at.some, areas_, {0, areas_});
    whole_.init(base + at.whole, areas_, {0, whole});
    partial_.init(base + at.partial, areas_, {whole, areas_});
  }

  /// Marks this frame used. False if it is used already or there is none.
  bool claim(u64 frame) {
    if (frame >= frames_ || is_used(frame)) return false;
    const u64 area = frame / area_frames;
    add(area, -1);
    u64& word = used(frame);
    u64 seen = peek(word);
    while ((seen & bit(frame)) == 0)
      if (take_bits(word, seen, seen | bit(frame))) return true;
    add(area, 1);  // somebody was quicker
    return false;
  }

  /// Also true for what lies beyond the last frame.
  bool is_used(u64 frame) const {
    return frame >= frames_ || (peek(used(frame)) & bit(frame)) != 0;
  }

  /// One frame (pte), or the first of 512 aligned ones (pmd). Error::no_space if there is none. It
  /// is sure if nobody else changes anything, or if there are as many frames free as all get and
  /// claim. Else it may also miss what was put where it had looked already, or into an area whose
  /// first frame somebody else is still about to put: he makes the area known.
  Result<u64> get(Level level, unsigned slot) {
    u64& own = slot_[slot % slots_].area;
    const u64 mine = peek(own);
    const u64 start = mine != 0 ? mine - 1 : slot % slots_ * areas_ / slots_;
    u64 frame = 0;
    if (level == Level::pte) {
      const auto adopt_it = [&](u64 area) { return adopt(own, mine, area, frame); };
      const auto take_it = [&](u64 area) { return take(area, frame); };
      if ((mine != 0 && take(start, frame)) || search(partial_, start, adopt_it) ||
          search(whole_, start, adopt_it) || search(some_, start, take_it))
        return frame;
    }
    if (level == Level::pmd) {
      const auto take_unreserved = [&](u64 area) {
        return peek(area_[area].state).reserved == 0 && take_whole(area, frame);
      };
      const auto take_any = [&](u64 area) { return take_whole(area, frame); };
      if (search(whole_, start, take_unreserved) || search(whole_, start, take_any)) return frame;
    }
    return Error::no_space;
  }

  /// Gives back what get() or claim() took, in one or many pieces. False, a bug of the caller's, if
  /// any of it was free already or there is no such frame.
  [[nodiscard]] bool put(u64 frame, Level level) {
    if (frame >= frames_) return false;
    if (level == Level::pte) return put_one(frame);
    return level == Level::pmd && put_whole(frame);
  }

  /// Exact when nobody changes anything.
  u64 free_frames() const {
    u64 sum = 0;
    for (u64 area = some_.next(0); area != Set::none; area = some_.next(area + 1)) {
      const short free = peek(area_[area].state).free;
      if (free > 0) sum += static_cast<u64>(free);
    }
    return sum;
  }

 private:
  using Set = BitTree<Atomic>;
  static constexpr u64 cache_line = 64;
  static constexpr short area_frames = pages_per_entry(Level::pmd);
  static constexpr unsigned area_words = area_frames / 64;

  struct alignas(4) State {
    short free;               ///< tickets
    unsigned short reserved;  ///< 1: some slot's own
  };

  /// Two cache lines of its own: CPUs that take from different areas do not meet.
  struct Area {
    u64 used[area_words];  ///< a bit a frame; those beyond the last frame are set
    State state;
    char pad[cache_line - sizeof(State)];
  };
  static_assert(sizeof(Area) == 2 * cache_line);

  /// The area that a slot takes from, plus 1; 0: none yet. Such an area is reserved.
  struct Slot {
    u64 area;
    u64 pad[cache_line / sizeof(u64) - 1];
  };

  /// Where each part of the storage begins; the areas come first.
  struct Layout {
    u64 slots, some, whole, partial, end;
  };

  static constexpr u64 areas_for(u64 frames) {
    return frames / area_frames + (frames % area_frames != 0);
  }
  static constexpr u64 lines(u64 bytes) { return (bytes + cache_line - 1) & ~(cache_line - 1); }
  static constexpr Layout layout(u64 frames, unsigned slots) {
    const u64 areas = areas_for(frames);
    const u64 set = lines(Set::storage_bytes(areas));
    Layout at{};
    at.slots = areas * sizeof(Area);
    at.some = at.slots + (slots == 0 ? 1 : slots) * sizeof(Slot);
    at.whole = at.some + set;
    at.partial = at.whole + set;
    at.end = at.partial + set;
    return at;
  }

  u64& used(u64 frame) const { return area_[frame / area_frames].used[frame % area_frames / 64]; }
  static constexpr u64 bit(u64 frame) { return 1UL << frame % 64; }

  /// What is only compared, or a guess.
  template <class T>
  static T peek(const T& word) {
    return Atomic::template load<Order::relaxed>(word);
  }
  /// What the last owners of these frames did comes before (acquire), and who sees the bits set
  /// knows of the tickets that were taken for them (release; acquire on failure, too): without that
  /// take() might look on for a bit that a claim on credit has taken.
  static bool take_bits(u64& word, u64& seen, u64 desired) {
    return Atomic::compare_exchange(word, seen, desired);
  }
  /// What this owner did comes before the next one.
  static bool give_bits(u64& word, u64& seen, u64 desired) {
    return Atomic::template compare_exchange<Order::release, Order::relaxed>(word, seen, desired);
  }

  static constexpr bool is_some(State state) { return state.free > 0; }
  static constexpr bool is_whole(State state) { return state.free == area_frames; }
  static constexpr bool is_partial(State state) {
    return is_some(state) && !is_whole(state) && state.reserved == 0;
  }

  /// Changes an area's state by `change(state)`, which may refuse, and lets the sets know.
  template <class Change>
  bool update(u64 area, Change&& change) {
    State before = peek(area_[area].state);
    State after;
    do {
      after = before;
      if (!change(after)) return false;
    } while (!Atomic::template compare_exchange<Order::acq_rel, Order::relaxed>(area_[area].state,
                                                                                before, after));
    const auto settle = [&](Set& set, auto&& is) {
      if (is(before) != is(after)) set.settle(area, [&] { return is(peek(area_[area].state)); });
    };
    settle(some_, is_some);
    settle(whole_, is_whole);
    settle(partial_, is_partial);
    return true;
  }

  void add(u64 area, long tickets) {
    update(area, [=](State& state) {
      state.free = static_cast<short>(state.free + tickets);
      return true;
    });
  }
  bool reserve(u64 area) {
    return update(area, [](State& state) {
      if (state.reserved != 0 || state.free <= 0) return false;
      state.reserved = 1;
      return true;
    });
  }
  void unreserve(u64 area) {
    update(area, [](State& state) {
      state.reserved = 0;
      return true;
    });
  }

  /// Tries the areas of a set, from `start` on and round.
  template <class Try>
  static bool search(const Set& set, u64 start, Try&& attempt) {
    for (u64 area = set.next(start); area != Set::none; area = set.next(area + 1))
      if (attempt(area)) return true;
    for (u64 area = set.next(0); area < start; area = set.next(area + 1))
      if (attempt(area)) return true;
    return false;
  }

  /// Takes a frame out of an area.
  bool take(u64 area, u64& frame) {
    const bool got = update(area, [](State& state) {
      if (state.free <= 0) return false;
      state.free--;
      return true;
    });
    if (!got) return false;
    while (!take_bit(area, frame)) {
      // Somebody gave and took behind our back, and there is a bit for us; unless more was claimed
      // than there were tickets.
      if (peek(area_[area].state).free >= 0) continue;
      add(area, 1);
      return false;
    }
    return true;
  }

  bool take_bit(u64 area, u64& frame) {
    for (u64 first = area * area_frames; first < (area + 1) * area_frames; first += 64) {
      u64& word = used(first);
      u64 seen = Atomic::load(word);
      while (~seen != 0) {
        frame = first + static_cast<u64>(__builtin_ctzl(~seen));
        if (take_bits(word, seen, seen | bit(frame))) return true;
      }
    }
    return false;
  }

  /// Takes a frame out of an area that nobody has reserved, and makes it the slot's own in place of
  /// `mine`.
  bool adopt(u64& own, u64 mine, u64 area, u64& frame) {
    if (!reserve(area)) return false;
    const bool taken = take(area, frame);
    u64 seen = mine;
    if (taken &&
        Atomic::template compare_exchange<Order::relaxed, Order::relaxed>(own, seen, area + 1)) {
      if (mine != 0) unreserve(mine - 1);
    } else {
      unreserve(area);  // or another thread of this slot was quicker: one area is enough
    }
    return taken;
  }

  bool take_whole(u64 area, u64& frame) {
    const bool got = update(area, [](State& state) {
      if (!is_whole(state)) return false;
      state.free = 0;
      return true;
    });
    if (!got) return false;
    for (unsigned word = 0; word < area_words; word++) {
      u64 seen = 0;
      if (take_bits(area_[area].used[word], seen, ~0UL)) continue;
      clear(area, word);  // a frame was claimed
      add(area, area_frames);
      return false;
    }
    frame = area * area_frames;
    return true;
  }

  /// Clears words below `end` that are full, up to the first one that is not. Returns how many.
  unsigned clear(u64 area, unsigned end) {
    for (unsigned word = 0; word < end; word++) {
      u64 seen = ~0UL;
      if (!give_bits(area_[area].used[word], seen, 0UL)) return word;
    }
    return end;
  }

  bool put_one(u64 frame) {
    u64& word = used(frame);
    u64 seen = peek(word);
    do {
      if ((seen & bit(frame)) == 0) return false;
    } while (!give_bits(word, seen, seen & ~bit(frame)));
    add(frame / area_frames, 1);
    return true;
  }

  bool put_whole(u64 frame) {
    const u64 area = frame / area_frames;
    if (frame % area_frames != 0 || frames_ - frame < area_frames) return false;
    for (unsigned word = 0; word < area_words; word++)
      if (peek(area_[area].used[word]) != ~0UL) return false;
    // Stops early only if somebody else puts the same frames: what was cleared is free.
    const unsigned cleared = clear(area, area_words);
    if (cleared != 0) add(area, 64 * long(cleared));
    return cleared == area_words;
  }

  u64 frames_;
  u64 areas_;
  u64 slots_;
  Area* area_;
  Slot* slot_;
  Set some_, whole_, partial_;
};

using FrameAllocator = BasicFrameAllocator<>;

}  // namespace morsel::core
