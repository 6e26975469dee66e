/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// Checks the two twins of a file before the hardware may see them, side by side: a leaf counts if
// both have it. Rewrites entries into another form on the way (rebase.h).
#pragma once

#include "finding.h"

namespace morsel::core::pool {

/// How entries are read, and how they are written back.
struct Form {
  Phys base;              ///< of entries that are present
  bool accepts_relative;  ///< entries without the present bit hold frame numbers
  bool wants_relative;    ///< what they shall be
};

template <Media M, Walker V>
class TreeCheck {
 public:
  TreeCheck(M& media, V& walker, const Form& form, Mending mending)
      : media_(media), walker_(walker), form_(form), mending_(mending) {}

  /// The trees of an inode with `pages` pages. Fills leaves, tables and sound of `object`.
  /// `last` is the number of pages up to the last leaf.
  void run(Inode* inode, u64 pages, Object& object, u64& last) {
    object_ = &object;
    pages_ = pages;
    last_ = 0;
    Root root[2];
    for (unsigned twin = 0; twin < 2; twin++) root[twin] = read_root(inode, twin);
    const Kind rw = root[0].kind, ro = root[1].kind;
    if (mending_ != Mending::none && is_half(rw, ro)) {
      const unsigned twin = rw == Kind::none;
      found(Finding::Kind::half_leaf, &inode->roots[twin]);
      set(&inode->roots[twin], 0);
    } else if (rw != Kind::bad && ro != Kind::bad && enter(inode, root[0], 0) &&
               enter(inode, root[1], 1)) {
      pair(root[0], root[1]);
    }
    last = last_;
  }

  bool wrote() const { return wrote_; }

 private:
  /// `bad` is damage that stays: what the other twin has there is no leftover then.
  enum class Kind { none, sound, bad };
  struct Root {
    u64* table;
    Level level;
    Kind kind = Kind::sound;
  };
  struct Entry {
    Kind kind;
    Frame frame;
    u64 canonical;
  };

  static bool is_half(Kind rw, Kind ro) {
    return (rw == Kind::none && ro == Kind::sound) || (rw == Kind::sound && ro == Kind::none);
  }

  static constexpr Format format_ = media_format();

  void found(Finding::Kind kind, const u64* word) {
    walker_.found({kind, object_->inode, place_of(word), *word});
    if (is_damage(kind) && mending_ != Mending::damage) object_->sound = false;
  }

  Place place_of(const void* word) {
    return static_cast<Place>(static_cast<const u8*>(word) - static_cast<u8*>(media_.at(0)));
  }

  void set(u64* word, u64 value) {
    media_.store(word, value);
    media_.flush(Site::entry_mended, word, sizeof(*word));
    wrote_ = true;
  }

  /// What is there after damage was found.
  Kind clear_damage(u64* word) {
    if (mending_ != Mending::damage) return Kind::bad;
    set(word, 0);
    return Kind::none;
  }

  bool address_to_frame(u64 address, bool relative, Frame& frame) {
    if (!relative && address < form_.base) return false;
    frame = (relative ? address : address - form_.base) / frame_bytes;
    return is_usable(frame, media_.frames());
  }

  u64 address_for(Frame frame) const {
    return frame * frame_bytes + (form_.wants_relative ? 0 : form_.base);
  }

  Root read_root(Inode* inode, unsigned twin) {
    u64* word = &inode->roots[twin];
    if (*word == 0) return {nullptr, Level::pte, Kind::none};
    const u64 level = *word & root_level_mask;
    const bool relative = (*word & root_relative) != 0;
    Frame frame = 0;
    const bool sound =
        (*word & ~(format_.pfn_mask | root_level_mask | root_relative)) == 0 && level >= 1 &&
        level <= u64(top_level) && (!relative || form_.accepts_relative) &&
        address_to_frame(*word & format_.pfn_mask, relative, frame) && is_readable(walker_, frame);
    if (!sound) {
      found(Finding::Kind::bad_root, word);
      return {nullptr, Level::pte, clear_damage(word)};
    }
    return {in_frame<u64>(media_, frame), static_cast<Level>(level), Kind::sound};
  }

  /// Claims a root table, if there is one. False if somebody else has it, and it stays.
  bool enter(Inode* inode, Root& root, unsigned twin) {
    if (root.table == nullptr) return true;
    u64* word = &inode->roots[twin];
    const Frame frame = place_of(root.table) / frame_bytes;
    if (!walker_.claim(frame)) {
      found(Finding::Kind::frame_twice, word);
      root = {nullptr, Level::pte, clear_damage(word)};
      return root.kind != Kind::bad;
    }
    object_->tables++;
    const u64 canonical =
        address_for(frame) | u64(root.level) | (form_.wants_relative ? root_relative : 0);
    if (*word != canonical && mending_ != Mending::none) set(word, canonical);
    return true;
  }

  static u64 flags_of(Level level, unsigned twin) {
    return level == Level::pte ? format_.leaf[twin] : format_.table;
  }

  /// An entry as it should be written.
  u64 entry_to(Frame frame, Level level, unsigned twin) const {
    return (address_for(frame) | flags_of(level, twin)) &
           ~(form_.wants_relative ? format_.present : 0);
  }

  Entry decode(u64 entry, Level level, unsigned twin) {
    if (entry == 0) return {Kind::none, 0, 0};
    const bool relative = (entry & format_.present) == 0;
    const u64 flags = (entry | format_.present) & ~format_.pfn_mask;
    // What hardware and kernel change in entries: never the dirty bit of a read-only leaf, which
    // would make a shadow stack of it.
    u64 loose = format_.accessed;
    if (level != Level::pte || twin == unsigned(Twin::rw)) loose |= format_.dirty;
    if (level == Level::pte && twin == unsigned(Twin::rw)) loose |= media_soft_dirty;
    Frame frame = 0;
    if (((flags ^ flags_of(level, twin)) & ~loose) != 0 || (relative && !form_.accepts_relative) ||
        !address_to_frame(entry & format_.pfn_mask, relative, frame) ||
        (level != Level::pte && !is_readable(walker_, frame)))
      return {Kind::bad, 0, 0};
    return {Kind::sound, frame, entry_to(frame, level, twin)};
  }

  /// None where there is no table.
  Entry peek(const u64* table, u64 slot, Level level, unsigned twin) {
    return table == nullptr ? Entry{Kind::none, 0, 0} : decode(table[slot], level, twin);
  }

  /// Reports and clears a bad entry, rewrites a sound one that is not as it should be.
  void settle(u64* table, u64 slot, Entry& entry) {
    if (entry.kind == Kind::bad) {
      found(Finding::Kind::bad_entry, &table[slot]);
      entry.kind = clear_damage(&table[slot]);
    } else if (entry.kind == Kind::sound && table[slot] != entry.canonical) {
      if (((table[slot] ^ entry.canonical) & format_.present) == 0 && !form_.accepts_relative)
        found(Finding::Kind::flags_set, &table[slot]);
      if (mending_ != Mending::none) set(&table[slot], entry.canonical);
    }
  }

  Entry read(u64* table, u64 slot, Level level, unsigned twin) {
    Entry entry = peek(table, slot, level, twin);
    settle(table, slot, entry);
    return entry;
  }

  /// A bad leaf whose counterpart is sound: a repair takes the frame from there. Whose frame that
  /// is shows when it is claimed, as of all others. False if the leaf stays as it is.
  bool restore(u64* table, u64 slot, Entry& leaf, unsigned twin, const Entry& counterpart) {
    if (leaf.kind != Kind::bad || counterpart.kind != Kind::sound) return true;
    found(Finding::Kind::bad_leaf, &table[slot]);
    if (mending_ != Mending::damage) return false;
    leaf = {Kind::sound, counterpart.frame, entry_to(counterpart.frame, Level::pte, twin)};
    set(&table[slot], leaf.canonical);
    return true;
  }

  /// Two trees of which one may be taller: what is below its first slots is the other one's twin.
  void pair(Root rw, Root ro) {
    if (rw.table != nullptr && ro.table != nullptr && rw.level != ro.level) {
      const unsigned tall = rw.level < ro.level;
      Root& taller = tall == 0 ? rw : ro;
      for (u64 slot = 1; slot < entries_per_table; slot++)
        side(taller, tall, slot, slot * pages_per_entry(taller.level));
      Entry first = read(taller.table, 0, taller.level, tall);
      u64* child = nullptr;
      if (first.kind == Kind::sound) {
        if (walker_.claim(first.frame)) {
          object_->tables++;
          child = in_frame<u64>(media_, first.frame);
        } else {
          found(Finding::Kind::frame_twice, taller.table);
          first.kind = clear_damage(taller.table);
        }
      }
      if (first.kind == Kind::bad) return;
      taller = {child, below(taller.level)};
      pair(rw, ro);
      return;
    }
    if (rw.table != nullptr || ro.table != nullptr)
      walk(rw.table, ro.table, rw.table != nullptr ? rw.level : ro.level, 0);
  }

  /// What only one twin has, in a slot of a table above pte level.
  void side(Root of, unsigned twin, u64 slot, Index base) {
    const Entry entry = read(of.table, slot, of.level, twin);
    if (entry.kind != Kind::sound) return;
    u64* word = &of.table[slot];
    found(Finding::Kind::half_leaf, word);
    if (mending_ != Mending::none) {
      set(word, 0);
      return;
    }
    // Nothing may be written, but processes may come to it all the same.
    if (!walker_.claim(entry.frame)) {
      found(Finding::Kind::frame_twice, word);
      return;
    }
    object_->tables++;
    u64* table = in_frame<u64>(media_, entry.frame);
    walk(twin == 0 ? table : nullptr, twin == 0 ? nullptr : table, below(of.level), base);
  }

  void walk(u64* rw, u64* ro, Level level, Index base) {
    walker_.pace();
    for (u64 slot = 0; slot < entries_per_table; slot++) {
      const Index index = base + slot * pages_per_entry(level);
      if ((rw == nullptr || rw[slot] == 0) && (ro == nullptr || ro[slot] == 0)) continue;
      if (level == Level::pte) {
        leaf(rw, ro, slot, index);
        continue;
      }
      u64* child[2];
      if (tables(rw, ro, slot, level, index, child)) walk(child[0], child[1], below(level), index);
    }
  }

  /// True if both twins have a table there, sound and claimed.
  bool tables(u64* rw, u64* ro, u64 slot, Level level, Index index, u64* (&child)[2]) {
    const Entry entry[2] = {read(rw, slot, level, 0), read(ro, slot, level, 1)};
    if (entry[0].kind == Kind::bad || entry[1].kind == Kind::bad) return false;
    for (unsigned twin = 0; twin < 2; twin++) {
      if (entry[1 - twin].kind != Kind::none) continue;
      if (entry[twin].kind != Kind::none) side({twin == 0 ? rw : ro, level}, twin, slot, index);
      return false;
    }
    for (unsigned twin = 0; twin < 2; twin++) {
      if (!walker_.claim(entry[twin].frame)) {
        found(Finding::Kind::frame_twice, twin == 0 ? &rw[slot] : &ro[slot]);
        clear_damage(&rw[slot]);
        clear_damage(&ro[slot]);
        return false;
      }
      object_->tables++;
      child[twin] = in_frame<u64>(media_, entry[twin].frame);
    }
    return true;
  }

  void leaf(u64* rw, u64* ro, u64 slot, Index index) {
    Entry write = peek(rw, slot, Level::pte, 0), look = peek(ro, slot, Level::pte, 1);
    if (!restore(rw, slot, write, 0, look) || !restore(ro, slot, look, 1, write)) return;
    settle(rw, slot, write);
    settle(ro, slot, look);
    if (write.kind == Kind::bad || look.kind == Kind::bad) return;
    if (write.kind == Kind::none && look.kind == Kind::none) return;
    if (is_half(write.kind, look.kind)) {
      u64* word = look.kind == Kind::none ? &rw[slot] : &ro[slot];
      found(Finding::Kind::half_leaf, word);
      if (mending_ != Mending::none)
        set(word, 0);
      else if (!walker_.claim(look.kind == Kind::none ? write.frame : look.frame))
        found(Finding::Kind::frame_twice, word);
      return;
    }
    Finding::Kind kind;
    if (write.frame != look.frame) {
      kind = Finding::Kind::twins_differ;
    } else if (index >= pages_ && mending_ != Mending::none) {
      kind = Finding::Kind::beyond_end;
    } else if (!walker_.claim(write.frame)) {
      kind = Finding::Kind::frame_twice;
    } else {
      if (index >= pages_) found(Finding::Kind::beyond_end, &ro[slot]);
      object_->leaves++;
      last_ = index + 1;
      return;
    }
    found(kind, &ro[slot]);
    if (is_damage(kind) && mending_ != Mending::damage) return;
    set(&rw[slot], 0);
    set(&ro[slot], 0);
  }

  M& media_;
  V& walker_;
  const Form& form_;
  const Mending mending_;
  Object* object_ = nullptr;
  u64 pages_ = 0;
  u64 last_ = 0;
  bool wrote_ = false;
};

}  // namespace morsel::core::pool
