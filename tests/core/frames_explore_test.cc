// SPDX-License-Identifier: MIT
//
// Every execution of two or three threads on a small pool that is nearly full: each frame has one
// owner at every moment, no get fails without need, and afterwards nothing is lost. Then the same
// with atomics that are broken on purpose, which must be noticed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "exploration.h"
#include "explore.h"
#include "pool.h"

namespace morsel::test {
namespace {

enum class Do { get, get_large, put, put_large, put_back, claim };

struct Act {
  Do what;
  u64 frame = 0;      ///< put, claim
  unsigned slot = 0;  ///< get
};
using Acts = std::vector<Act>;

struct Piece {
  u64 first, pages;
  bool overlaps(const Piece& other) const {
    return first < other.first + other.pages && other.first < first + pages;
  }
};

/// What one thread owns, gave away and was told.
struct Local {
  std::vector<Piece> held;
  std::vector<Piece> given;     ///< of those that it had from the beginning
  std::vector<Piece> put_last;  ///< all that it wrote to last, in the order of its puts
  unsigned got = 0, failed = 0, claimed = 0, put = 0;
};

/// Names of facts: what thread t has written to the frames of its n-th put.
char contents[3][8];

/// Whoever gets these frames must know what was written to them before.
void leave(Local& local, const Piece& piece) {
  if (const Run* run = Run::current()) Run::learn(&contents[run->thread()][local.put_last.size()]);
  local.put_last.push_back(piece);
}

u64 pages_of(Level level) { return pages_per_entry(level); }

template <class Allocator>
void act(Allocator& allocator, const Act& now, Local& local) {
  const bool large = now.what == Do::get_large || now.what == Do::put_large;
  const Level level = large ? Level::pmd : Level::pte;
  switch (now.what) {
    case Do::get:
    case Do::get_large: {
      const Result<u64> frame = allocator.get(level, now.slot);
      (frame.ok() ? local.got : local.failed)++;
      if (frame.ok()) local.held.push_back({frame.value(), pages_of(level)});
      return;
    }
    case Do::put:
    case Do::put_large:
      local.given.push_back({now.frame, pages_of(level)});
      leave(local, local.given.back());
      local.put += allocator.put(now.frame, level);
      return;
    case Do::put_back: {
      if (local.held.empty()) return;
      const auto [frame, pages] = local.held.back();
      local.held.pop_back();  // it ceases to be ours before the put
      leave(local, {frame, pages});
      local.put += allocator.put(frame, pages == 1 ? Level::pte : Level::pmd);
      return;
    }
    case Do::claim:
      if (!allocator.claim(now.frame)) return;
      local.claimed++;
      local.held.push_back({now.frame, 1});
      return;
  }
}

struct Scene {
  u64 frames;          ///< of the pool
  std::set<u64> free;  ///< all others were claimed before
  std::vector<Acts> threads;
  std::function<bool(const Local& sum)> right;  ///< in the end
  bool reserved = false;  ///< of two areas, the first is slot 0's own and the second slot 1's
};

template <class Atomic>
class Play {
 public:
  using Allocator = BasicFrameAllocator<Atomic>;

  explicit Play(const Scene& scene, unsigned outdated = outdated_loads())
      : scene_(scene), pool_(scene.frames, slots) {
    for (unsigned slot = 0; scene.reserved && slot < slots; slot++) {
      const Result<u64> frame = pool_.allocator.get(Level::pte, slot);
      if (!frame.ok() || frame.value() != slot * area_frames) std::abort();
      if (!pool_.allocator.put(frame.value(), Level::pte)) std::abort();
    }
    for (u64 frame = 0; frame < scene.frames; frame++)
      if (!scene.free.contains(frame) && !pool_.allocator.claim(frame)) std::abort();
    std::vector<typename Explorer<Local>::Program> programs;
    for (const Acts& acts : scene.threads)
      programs.push_back([this, &acts](Local& local) {
        for (const Act& now : acts) act(pool_.allocator, now, local);
      });
    Explorer<Local> explorer(
        programs, [&](const auto& locals, bool over) { return look(explorer, locals, over); },
        outdated);
    fault = explorer.run();
    size = {explorer.states(), explorer.ends()};
  }

  std::string fault;
  Size size;

 private:
  static constexpr unsigned slots = 2;

  /// Whether a thread has got a frame, and does not know what its last owner has written to it.
  static std::string stale(Explorer<Local>& explorer, const std::vector<Local>& locals) {
    for (unsigned t = 0; t < locals.size(); t++)
      for (const Piece& mine : locals[t].held)
        for (unsigned u = 0; u < locals.size() && locals[t].claimed == 0; u++)
          for (size_t n = 0; n < locals[u].put_last.size(); n++)
            if (u != t && mine.overlaps(locals[u].put_last[n]) &&
                !explorer.knows(t, &contents[u][n]))
              return "got a frame whose last owner may still be writing to it";
    return {};
  }

  std::string look(Explorer<Local>& explorer, const std::vector<Local>& locals, bool over) {
    std::vector<unsigned char> owners(scene_.frames, 1);
    for (const u64 frame : scene_.free) owners[frame] = 0;
    Local sum;
    for (const Local& local : locals)
      for (const auto& [first, pages] : local.given)
        for (u64 i = 0; i < pages; i++) owners[first + i] = 0;
    for (const Local& local : locals) {
      for (const auto& [first, pages] : local.held)
        for (u64 i = 0; i < pages; i++)
          if (owners[first + i]++ != 0) return "two owners of frame " + std::to_string(first + i);
      sum.got += local.got;
      sum.failed += local.failed;
      sum.claimed += local.claimed;
      sum.put += local.put;
    }
    if (!over) return stale(explorer, locals);
    const std::vector<u64> storage = pool_.storage;
    const std::string wrong = look_at_end(owners, sum);
    std::copy(storage.begin(), storage.end(), pool_.storage.begin());
    return wrong;
  }

  std::string look_at_end(const std::vector<unsigned char>& owners, const Local& sum) {
    if (!scene_.right(sum))
      return std::to_string(sum.got) + " got, " + std::to_string(sum.failed) + " failed, " +
             std::to_string(sum.claimed) + " claimed, " + std::to_string(sum.put) + " put";
    for (u64 frame = 0; frame < scene_.frames; frame++)
      if (pool_.allocator.is_used(frame) != (owners[frame] != 0))
        return "the bit of frame " + std::to_string(frame);
    u64 left = u64(std::count(owners.begin(), owners.end(), 0));
    if (pool_.allocator.free_frames() != left)
      return "counts " + std::to_string(pool_.allocator.free_frames()) + " free frames, not " +
             std::to_string(left);
    for (u64 first = 0; first + area_frames <= scene_.frames; first += area_frames)
      if (std::count(&owners[first], &owners[first] + area_frames, 0) == area_frames) {
        if (!pool_.allocator.get(Level::pmd, 0).ok()) return "a free area that is not found";
        left -= area_frames;
      }
    if (pool_.allocator.get(Level::pmd, 1).ok()) return "an area that is not free";
    for (; left > 0; left--)
      if (!pool_.allocator.get(Level::pte, unsigned(left)).ok())
        return "a free frame that is not found";
    return pool_.allocator.get(Level::pte, 0).ok() ? "a frame too many" : "";
  }

  const Scene& scene_;
  Pool<Allocator> pool_;
};

std::set<u64> from_to(u64 first, u64 last, std::set<u64> more = {}) {
  for (u64 frame = first; frame < last; frame++) more.insert(frame);
  return more;
}

constexpr Act get0{Do::get, 0, 0}, get1{Do::get, 0, 1};
constexpr Act large0{Do::get_large, 0, 0}, large1{Do::get_large, 0, 1};
constexpr Act back{Do::put_back};
constexpr Act put(u64 frame) { return {Do::put, frame}; }
constexpr Act claim(u64 frame) { return {Do::claim, frame}; }

const Scene last_frame{
    600, {7}, {{get0}, {get1}}, [](const Local& sum) { return sum.got == 1 && sum.failed == 1; }};
const Scene one_each{600, {7, 8}, {{get0}, {get1}}, [](const Local& sum) { return sum.got == 2; }};
const Scene emptied_while_put{600, {7}, {{get0, get0}, {put(100)}}, [](const Local& sum) {
                                return sum.got >= 1 && sum.put == 1;
                              }};
const Scene last_while_put{
    600, {7}, {{get0}, {put(100)}}, [](const Local& sum) { return sum.got == 1; }};
const Scene there_and_back{1024,
                           {7, 8},
                           {{get0, back, get0}, {get0}},
                           [](const Local& sum) { return sum.got == 3 && sum.put == 1; },
                           true};

/// A scene that must hold. How much of it there was is in GoogleTest's report.
void expect_right(const Scene& scene, unsigned usually_outdated = 1) {
  const Play<ExploredAtomic> play(scene, outdated_loads(usually_outdated));
  EXPECT_EQ(play.fault, "");
  EXPECT_GT(play.size.ends, 1u);
  record(play.size);
}

TEST(FramesExplored, LastFrame) { expect_right(last_frame); }
TEST(FramesExplored, OneEach) { expect_right(one_each); }
TEST(FramesExplored, EmptiedWhilePut) { expect_right(emptied_while_put); }
TEST(FramesExplored, LastWhilePut) { expect_right(last_while_put); }
TEST(FramesExplored, ThereAndBack) { expect_right(there_and_back); }

// Both think that the slot is theirs alone, and change its area.
TEST(FramesExplored, OneSlotOfTwo) {
  expect_right({1100, {7, 600}, {{get0}, {get0}}, [](const Local& sum) { return sum.got == 2; }});
}

TEST(FramesExplored, ThreeForTwo) {
  expect_right({1024,
                {7, 8},
                {{get0}, {get0}, {get0}},
                [](const Local& sum) { return sum.got == 2 && sum.failed == 1; },
                true});
}

// Frames that others put meanwhile do not hide those that were there before.
TEST(FramesExplored, OtherAreaFilledMeanwhile) {
  expect_right({1024,
                {7},
                {{get0}, {put(700)}, {get0}},
                [](const Local& sum) { return sum.got >= 1 && sum.put == 1; },
                true});
}

// A frame out of the only free area, or all of it: one of the two is always possible.
TEST(FramesExplored, SmallAgainstLarge) {
  expect_right({600, from_to(0, 512), {{get0}, {large1}}, [](const Local& sum) {
                  return sum.got == 1 && sum.failed == 1;
                }});
}

TEST(FramesExplored, LargeAgainstLarge) {
  expect_right({1024, from_to(0, 512), {{large0}, {large1}}, [](const Local& sum) {
                  return sum.got == 1 && sum.failed == 1;
                }});
}

TEST(FramesExplored, MadeWholeWhileOthersGet) {
  expect_right({1024,
                from_to(1, 512),
                {{put(0)}, {large0}, {get0}},
                [](const Local& sum) { return sum.put == 1 && sum.got >= 1; },
                true});
}

TEST(FramesExplored, WholeComesAndGoes) {
  expect_right({1024,
                from_to(0, 512),
                {{get0, back}, {large1, back}},
                [](const Local& sum) { return sum.got >= 1 && sum.put == sum.got; },
                true});
}

TEST(FramesExplored, LargePutWhileOthersGet) {
  expect_right({1024,
                {600},
                {{{Do::put_large, 0}}, {get0, get0}},
                [](const Local& sum) { return sum.put == 1 && sum.got >= 1; },
                true});
}

// The walk at mount finds a frame twice: damage is found once, and never where there is none.
TEST(FramesExplored, OneOfTwoClaims) {
  expect_right(
      {600, {7, 8}, {{claim(7)}, {claim(7)}}, [](const Local& sum) { return sum.claimed == 1; }});
  expect_right({1024,
                {7, 8},
                {{claim(7)}, {claim(7)}, {claim(8)}},
                [](const Local& sum) { return sum.claimed == 2; },
                true},
               0);
}

TEST(FramesExplored, ClaimsAgainstGets) {
  expect_right({1024,
                {7, 8},
                {{claim(7)}, {get0}, {claim(8)}},
                [](const Local& sum) { return sum.claimed + sum.got == 2 && sum.claimed >= 1; },
                true},
               0);
  expect_right({600, {7, 8}, {{claim(8)}, {get0, get0}}, [](const Local& sum) {
                  return sum.claimed + sum.got == 2 && sum.got >= 1;
                }});
}

TEST(FramesExplored, ClaimAgainstLarge) {
  for (const u64 frame : {0UL, 300UL})
    expect_right({600, from_to(0, 512), {{claim(frame)}, {large0}}, [](const Local& sum) {
                    return sum.claimed + sum.got == 1;
                  }});
}

// A bug of the caller's, found by exactly one of the two.
TEST(FramesExplored, PutTwice) {
  expect_right({600, {7}, {{put(100)}, {put(100)}}, [](const Local& sum) { return sum.put == 1; }});
  expect_right({600, {513}, {{{Do::put_large, 0}}, {{Do::put_large, 0}}}, [](const Local& sum) {
                  return sum.put == 1;
                }});
}

/// Compares and exchanges in two steps, where `is<T>`.
template <template <class> class Is>
struct Torn : ExploredAtomic {
  template <Order success = Order::acq_rel, Order failure = Order::acquire, class T>
  static bool compare_exchange(T& word, T& seen, T desired) {
    if constexpr (!Is<T>::value)
      return ExploredAtomic::compare_exchange<success, failure>(word, seen, desired);
    const T found = load(word);
    const bool same = to_word(found) == to_word(seen);
    if (same) exchange(word, desired);
    seen = found;
    return same;
  }
};
template <class T>
struct IsBits : std::bool_constant<std::is_integral_v<T>> {};
template <class T>
struct IsCount : std::bool_constant<sizeof(T) == 4> {};
template <class T>
struct IsNode : std::bool_constant<!std::is_integral_v<T> && sizeof(T) == 8> {};

/// Does not count the changes of a node, its upper half: who comes late is not told so.
struct Forgetful : ExploredAtomic {
  template <Order success = Order::acq_rel, Order failure = Order::acquire, class T>
  static bool compare_exchange(T& word, T& seen, T desired) {
    if constexpr (IsNode<T>::value)
      desired = from_word<T>((to_word(desired) & ~0U) | (to_word(seen) & ~0UL << 32));
    return ExploredAtomic::compare_exchange<success, failure>(word, seen, desired);
  }
};

template <class Atomic>
std::string fault_of(const Scene& scene) {
  return Play<Atomic>(scene).fault;
}

TEST(FramesExplored, TornBitsAreNoticed) {
  EXPECT_NE(fault_of<Torn<IsBits>>(one_each).find("two owners"), std::string::npos);
}
TEST(FramesExplored, TornCountsAreNoticed) {
  EXPECT_NE(fault_of<Torn<IsCount>>(there_and_back), "");
}
TEST(FramesExplored, TornNodesAreNoticed) { EXPECT_NE(fault_of<Torn<IsNode>>(last_while_put), ""); }
TEST(FramesExplored, OldNewsAreNoticed) {
  EXPECT_NE(fault_of<Forgetful>(last_while_put).find("free frames, not"), std::string::npos);
}

}  // namespace
}  // namespace morsel::test
