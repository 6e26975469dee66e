/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// From a medium as it was found to a pool that can be used: log, base, walk. Every mount, clean or
// not, and fsck.
//
// Another base. Entries hold physical addresses. When the pool lies elsewhere than before, all of
// them are rewritten, twice: first into frame numbers (phase loosening; without the present bit, so
// that it shows which ones are done), then into addresses at the new base (phase binding). Each
// rewriting is one store, and the superblock says what phase it is and for which base; so it can
// be cut short anywhere, and go on, even if the pool is found at a third base by then.
#pragma once

#include "check.h"
#include "superblock.h"

namespace morsel::core::pool {

/// A walker that notes whether there was damage.
template <Walker V>
class DamageWatch {
 public:
  explicit DamageWatch(V& walker) : walker_(walker) {}
  bool damaged() const { return damaged_; }

  void restart() { walker_.restart(); }
  bool claim(Frame frame) { return walker_.claim(frame); }
  void mark(Frame frame) { walker_.mark(frame); }
  bool is_marked(Frame frame) { return walker_.is_marked(frame); }
  bool push(Frame frame) { return walker_.push(frame); }
  bool pop(Frame& frame) { return walker_.pop(frame); }
  Status name(Frame directory, Place place, const Name& name, const Object& object, bool first) {
    return walker_.name(directory, place, name, object, first);
  }
  void directory(const Directory& known) { walker_.directory(known); }
  void found(const Finding& finding) {
    damaged_ = damaged_ || is_damage(finding.kind);
    walker_.found(finding);
  }
  void pace() { walker_.pace(); }
  bool readable(Frame frame) { return is_readable(walker_, frame); }

 private:
  V& walker_;
  bool damaged_ = false;
};

struct Recovery {
  u64 replayed;  ///< records of the log
  bool moved;    ///< to another base
};

/// Walks once, without telling of names, in the form that the phase has.
template <Media M, Walker V>
Status convert(M& media, V& walker, const Superblock& sb, Mending mending, bool to_relative) {
  const bool accepts_relative = sb.phase != Phase::settled || to_relative;
  const Form form{sb.base, accepts_relative, to_relative};
  return Check<M, V>(media, walker, form, mending, /*announce=*/false).run();
}

template <Media M, Walker V>
Status move_to_base(M& media, V& walker, Superblock& sb, Phys base) {
  const auto enter = [&](Phase phase, Phys to) {
    sb.phase = phase;
    sb.base = to;
    write_superblock(media, sb);
  };
  if (sb.phase == Phase::settled || (sb.phase == Phase::binding && sb.base != base))
    enter(Phase::loosening, sb.base);
  if (sb.phase == Phase::loosening) {
    const Status status = convert(media, walker, sb, Mending::leftovers, /*to_relative=*/true);
    if (!status.ok()) return status;
    enter(Phase::binding, base);
  }
  const Status status = convert(media, walker, sb, Mending::leftovers, /*to_relative=*/false);
  if (!status.ok()) return status;
  enter(Phase::settled, base);
  return {};
}

/// Makes a pool ready that lies at `base`, whose superblock is `sb`, on a medium of exactly that
/// many frames (of a larger one, the rest is not used). With Mending::none nothing is written: the
/// log stays, and another base is Error::unsupported. A damaged pool does not move: Error::damaged,
/// told by found(); repair it first, at whatever base. The walker has all names and frames when it
/// returns.
template <Media M, Walker V>
Status recover(M& media, V& walker, Superblock& sb, Phys base, Mending mending, Recovery& done) {
  done = {};
  if (media.frames() != sb.frames) return Error::unsupported;
  if (mending != Mending::none) {
    const Status status = Log::replay(media, mending == Mending::damage, done.replayed);
    if (!status.ok()) return status;
  }
  if (sb.phase != Phase::settled || sb.base != base) {
    if (mending == Mending::none) return Error::unsupported;
    // Nothing is rewritten before everything was looked at.
    DamageWatch<V> watch(walker);
    Status status = convert(media, watch, sb, mending == Mending::damage ? mending : Mending::none,
                            /*to_relative=*/false);
    if (!status.ok()) return status;
    if (watch.damaged() && mending != Mending::damage) return Error::damaged;
    status = move_to_base(media, walker, sb, base);
    if (!status.ok()) return status;
    done.moved = true;
  }
  const Form form{sb.base, /*accepts_relative=*/false, /*wants_relative=*/false};
  return Check<M, V>(media, walker, form, mending, /*announce=*/true).run();
}

}  // namespace morsel::core::pool
