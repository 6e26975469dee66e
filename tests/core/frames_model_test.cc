// SPDX-License-Identifier: MIT
//
// Random sequences of operations on the frame allocator, after each of which it must agree with a
// plain set of free frames.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>  // after GoogleTest, which it needs

#include <set>

#include "pool.h"

namespace morsel::test {
namespace {

enum class Kind { get, get_large, drain, put, put_large, put_area, claim };
const char* const names[] = {"get", "get_large", "drain", "put", "put_large", "put_area", "claim"};

struct Op {
  Kind kind;
  u64 frame;
  unsigned slot;
};

std::ostream& operator<<(std::ostream& out, const Op& op) {
  return out << names[int(op.kind)] << "(" << op.frame << ", slot " << op.slot << ")";
}

constexpr unsigned slots = 3;

rc::Gen<Op> some_op() {
  return rc::gen::apply(
      [](Kind kind, u64 area, u64 frame, unsigned slot) {
        return Op{kind, area * area_frames + frame, slot};
      },
      rc::gen::weightedElement<Kind>({{6, Kind::get},
                                      {3, Kind::get_large},
                                      {2, Kind::drain},
                                      {4, Kind::put},
                                      {2, Kind::put_large},
                                      {2, Kind::put_area},
                                      {3, Kind::claim}}),
      rc::gen::inRange<u64>(0, 5),
      rc::gen::element<u64>(0, 0, 1, 2, 63, 64, 127, 200, 448, 510, 511),
      rc::gen::inRange<unsigned>(0, slots + 1));
}

class Model {
 public:
  explicit Model(u64 frames) : frames_(frames), pool_(frames, slots) {
    for (u64 frame = 0; frame < frames; frame++) free_.insert(frame);
  }

  void apply(const Op& op) {
    switch (op.kind) {
      case Kind::get:
        return get(Level::pte, op.slot);
      case Kind::get_large:
        return get(Level::pmd, op.slot);
      case Kind::drain:  // so that pools become full
        for (u64 i = 0; i < 300 + op.frame % 300; i++) get(Level::pte, op.slot);
        return;
      case Kind::put:
        return put(op.frame, Level::pte);
      case Kind::put_large:
        return put(op.frame - (op.slot == 0 ? 0 : op.frame % area_frames), Level::pmd);
      case Kind::put_area:
        for (u64 i = 0; i < area_frames; i++)
          put(op.frame - op.frame % area_frames + i, Level::pte);
        return;
      case Kind::claim:
        RC_ASSERT(pool_.allocator.claim(op.frame) == (free_.erase(op.frame) != 0));
        return;
    }
  }

  void compare() const {
    RC_ASSERT(pool_.allocator.free_frames() == free_.size());
    for (u64 frame = 0; frame < frames_ + area_frames; frame++)
      if (pool_.allocator.is_used(frame) == free_.contains(frame)) RC_FAIL("bit of a frame");
  }

 private:
  bool all_free(u64 first, u64 pages) const {
    const auto at = free_.find(first);
    return at != free_.end() && u64(std::distance(at, free_.lower_bound(first + pages))) == pages;
  }
  bool any_free(u64 first, u64 pages) const {
    const auto at = free_.lower_bound(first);
    return at != free_.end() && *at < first + pages;
  }
  bool has(Level level) const {
    if (level == Level::pte) return !free_.empty();
    for (u64 first = 0; first < frames_; first += area_frames)
      if (all_free(first, area_frames)) return true;
    return false;
  }

  void get(Level level, unsigned slot) {
    const u64 pages = pages_per_entry(level);
    const Result<u64> got = pool_.allocator.get(level, slot);
    RC_ASSERT(got.ok() == has(level));
    if (!got.ok()) {
      RC_ASSERT(got.error() == Error::no_space);
      return;
    }
    RC_ASSERT(got.value() % pages == 0);
    RC_ASSERT(all_free(got.value(), pages));
    free_.erase(free_.find(got.value()), free_.lower_bound(got.value() + pages));
  }

  void put(u64 frame, Level level) {
    const u64 pages = pages_per_entry(level);
    const bool right = frame % pages == 0 && frame + pages <= frames_ && !any_free(frame, pages);
    RC_ASSERT(pool_.allocator.put(frame, level) == right);
    for (u64 i = 0; right && i < pages; i++) free_.insert(frame + i);
  }

  const u64 frames_;
  Pool<> pool_;
  std::set<u64> free_;
};

RC_GTEST_PROP(FramesModel, FreesWhatASetHolds, ()) {
  const u64 frames = *rc::gen::element<u64>(5, 512, 513, 1024, 1300, 4 * 512 + 448);
  const auto ops = *rc::gen::container<std::vector<Op>>(some_op());
  Model model(frames);
  for (const Op& op : ops) {
    model.apply(op);
    model.compare();
  }
}

}  // namespace
}  // namespace morsel::test
