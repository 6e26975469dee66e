/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// The tree of an object: two page-table subtrees (twins) over the same frames. They are the
// object's only block map, and what processes hang into their own page tables.
//
// Thread safety. lookup(), subtree(), run(), next(): any time, lock-free, inside the host's
// read-side section (RCU) so that tables stay readable. install(), grow(), persist(): concurrently
// with each other and with readers, lock-free. split(), merge(), promote(), remove(), free(): one
// at a time, and none of those meanwhile, but for grow(); readers may go on.
//
// The order that keeps the twins in step: a leaf is installed in rw first and in ro last, and all
// tables on both paths exist before the first of the two. So who finds it in ro finds it in rw;
// who finds it in rw only (the installer is between its two steps) completes ro itself with the
// same value. ro is therefore the twin that software looks pages up in.
//
// Memory orders. What leads somewhere, a root word or an entry, is published with release when all
// that it leads to is written, and loaded with acquire by whoever follows it; so each step down is
// sure of the next one. The leaf in ro is published after that in rw, by who has put rw's in or
// acquired it; so who acquires ro's finds rw's. `none` leads nowhere: to clear is relaxed, and so
// is a load that is not followed. What clears or replaces relies on the caller's lock for all that
// installers did, and they for all that it did.
#pragma once

#include "host.h"
#include "result.h"

namespace morsel::core {

/// One word per twin: physical address of the root table plus its level, 0 for an empty tree.
/// Levels are only ever added on top, by compare-and-swap, so an old root stays a valid subtree.
struct Roots {
  u64 word[2];
};

/// A leaf as seen from one page.
struct Leaf {
  Pfn pfn;      ///< frame of that very page, also inside a 2-MiB leaf
  Level level;  ///< pte: 4 KiB, pmd: 2 MiB
};

/// What hangs below one slot of a process's table.
struct Subtree {
  enum class Kind : unsigned { none, table, leaf } kind;
  u64 value;  ///< table: its physical address; leaf: the entry itself
};

template <Host H>
class Tree {
  using Table = typename H::Table;
  using Entry = typename Table::Entry;
  using Atomic = typename Table::Atomic;

 public:
  Tree(H host, Roots& roots) : host_(host), roots_(roots) {}

  /// The leaf at a page, in one twin. Error::none with a value, or `false` for a hole.
  bool lookup(Twin twin, Index index, Leaf& leaf) const {
    u64 entry = 0;
    Level level = Level::pte;
    if (!find(twin, index, entry, level)) return false;
    leaf = {format().pfn(entry) + index % pages_per_entry(level), level};
    return true;
  }

  /// What a slot of `slot_level` (pmd: a 2-MiB slot, pud: a 1-GiB slot) that begins at `index`
  /// would be grafted with.
  Subtree subtree(Twin twin, Index index, Level slot_level) const {
    Level level{};
    Table* table = root(twin, level);
    if (table == nullptr || level < below(slot_level) || index >= pages_per_table(level))
      return {Subtree::Kind::none, 0};
    while (level > below(slot_level)) {
      const u64 entry = settled(table, slot_of(index, level));
      if (entry == 0) return {Subtree::Kind::none, 0};
      if (format().is_leaf(entry, level)) return {Subtree::Kind::leaf, entry};
      table = host_.table_at(format().address(entry));
      level = below(level);
    }
    return {Subtree::Kind::table, host_.address_of(table)};
  }

  /// 4-KiB entries for `count` pages from `first` on, cut from whatever leaves are there; 0 for
  /// holes. Returns how many are not 0.
  u64 run(Twin twin, Index first, u64 count, u64* entries) const {
    u64 found = 0;
    for (u64 done = 0; done < count;) {
      const u64 slot = slot_of(first + done, Level::pte);
      const u64 left = entries_per_table - slot, step = left < count - done ? left : count - done;
      found += run_in_slot(twin, first + done - slot, slot, step, entries + done);
      done += step;
    }
    return found;
  }

  /// First page in the range that is present (`data`) or absent (`!data`); range.last if none.
  /// Costs one look per entry of the tables in between; where there is no table, one per slot.
  Index next(Range range, bool data) const {
    Level level{};
    Table* table = root(Twin::ro, level);
    const Index end = table == nullptr ? 0 : pages_per_table(level);
    if (range.first < end) {
      const Index found = next_below(table, level, 0, range, data);
      if (found < range.last && found < end) return found;
    }
    return data || range.last <= end ? range.last : (range.first > end ? range.first : end);
  }

  /// Pages that the tree can hold as tall as it is now.
  Index capacity() const {
    Level level[2];
    for (const Twin twin : twins)
      if (root(twin, level[unsigned(twin)]) == nullptr) level[unsigned(twin)] = Level::pte;
    return pages_per_table(level[0] > level[1] ? level[0] : level[1]);
  }

  /// Makes both twins tall enough to be grafted at `level` and to hold the page.
  Status grow(Index index, Level level = Level::pte) {
    while (index >= pages_per_table(level)) {
      if (level == top_level) return Error::too_large;
      level = above(level);
    }
    for (const Twin twin : twins) {
      const Status status = grow_to(twin, level);
      if (!status.ok()) return status;
    }
    return {};
  }

  /// Installs a frame, `level` pte or pmd, at a page (aligned for pmd). Error::occupied if
  /// something is there: a leaf, which then is complete at this page in both twins, or (for pmd) a
  /// table, which may be empty; smaller leaves fit then.
  Status install(Index index, Level level, Pfn pfn) {
    Status status = grow(index, level);
    if (!status.ok()) return status;
    Table* table[2];
    for (const Twin twin : twins) {
      status = descend(twin, index, level, table[unsigned(twin)]);
      if (!status.ok()) {
        if (status.error() == Error::occupied) complete(index);
        return status;
      }
    }
    const u64 slot = slot_of(index, level);
    host_.order(Site::leaf_ready);  // the frame's contents, before anything leads to it
    if (!table[0]->at(slot).publish(format().make_leaf(Twin::rw, pfn, level))) {
      complete(index);
      return Error::occupied;
    }
    // Fails only if somebody who met our rw leaf was quicker to complete it: the same value.
    table[1]->at(slot).publish(format().make_leaf(Twin::ro, pfn, level));
    host_.changed(Site::leaf_rw, &table[0]->at(slot), sizeof(Entry));
    host_.changed(Site::leaf_ro, &table[1]->at(slot), sizeof(Entry));
    host_.order(Site::leaf_installed);
    return {};
  }

  /// Turns the 2-MiB leaf at a page into 512 small ones over the same frame, each with a reference
  /// of its own. Nothing to do where there is no such leaf. Translations do not change.
  Status split(Index index) {
    Leaf leaf{};
    if (!lookup(Twin::rw, index, leaf) || leaf.level != Level::pmd) return {};
    const Pfn first = leaf.pfn - index % pages_per_entry(Level::pmd);
    Table* small[2];
    for (const Twin twin : twins) {
      small[unsigned(twin)] = host_.allocate_table(Level::pte);
      if (small[unsigned(twin)] == nullptr) {
        if (twin == Twin::ro) host_.free_table(small[0], Level::pte);
        return Error::no_memory;
      }
      for (u64 i = 0; i < entries_per_table; i++)
        small[unsigned(twin)]->at(i).init(format().make_leaf(twin, first + i, Level::pte));
    }
    host_.hold_frame(first, entries_per_table - 1);
    for (const Twin twin : twins)
      replace(parent(twin, index), slot_of(index, Level::pmd),
              format().make_table(host_.address_of(small[unsigned(twin)])));
    return {};
  }

  /// Replaces the 512 small leaves of a slot (aligned) by one 2-MiB leaf. The caller has copied
  /// the contents, and nobody maps the object. `sink(pfn, level)` gets each old frame. The twins
  /// must have pmd tables (grow()).
  template <class Sink>
  void merge(Index index, Pfn pfn, Sink&& sink) {
    for (const Twin twin : twins_to_remove) {
      const u64 old = replace(parent(twin, index), slot_of(index, Level::pmd),
                              format().make_leaf(twin, pfn, Level::pmd));
      Table* small = host_.table_at(format().address(old));
      for (u64 i = 0; twin == Twin::rw && i < entries_per_table; i++)
        sink(format().pfn(small->at(i).load()), Level::pte);
      host_.free_table(small, Level::pte);
    }
  }

  /// Puts 2-MiB leaves into those of the `count` slots from page `first` on whose pfn is not 0,
  /// while processes map the object. Their leaves were removed, the pte tables are there; all slots
  /// lie in one 1-GiB slot. The kernel's walkers keep pointers into tables, and do not expect that
  /// an entry which led to a table is a leaf when they look again. So the pmd tables stay as they
  /// are, and copies with the leaves in them take their place. `retire(table, level)` gets the
  /// tables that the tree does not lead to any more, which may be freed when nobody maps the
  /// object; forget() is for the other 2-MiB leaves in those of level pmd. After an error nothing
  /// has changed; Error::occupied: there is no pte table. Not for trees in pools.
  template <class Retire>
  Status promote(Index first, const Pfn* pfns, u64 count, Retire&& retire) {
    Status status = grow(first, Level::pmd);
    if (!status.ok()) return status;
    Table *old[2], *fresh[2] = {};
    for (const Twin twin : twins) {
      old[unsigned(twin)] = parent(twin, first);
      if (status.ok())
        status = copy_with(twin, old[unsigned(twin)], first, pfns, count, fresh[unsigned(twin)]);
    }
    for (const Twin twin : twins)
      if (!status.ok() && fresh[unsigned(twin)] != nullptr)
        host_.free_table(fresh[unsigned(twin)], Level::pmd);
    if (!status.ok()) return status;
    for (const Twin twin : twins) relink(twin, first, old[unsigned(twin)], fresh[unsigned(twin)]);
    for (const Twin twin : twins) {
      for (u64 i = 0; i < count; i++)
        if (pfns[i] != 0)
          retire(host_.table_at(format().address(
                     old[unsigned(twin)]->at(slot_of(first, Level::pmd) + i).load())),
                 Level::pte);
      retire(old[unsigned(twin)], Level::pmd);
    }
    return {};
  }

  /// Clears the 2-MiB leaves that touch the range in a retired pmd table, of the 1-GiB slot that
  /// begins at `base`: before their frames are given back.
  void forget(Table* retired, Index base, Range range) {
    const u64 span = pages_per_entry(Level::pmd);
    for (u64 slot = range.first <= base ? 0 : (range.first - base) / span;
         slot < entries_per_table && base + slot * span < range.last; slot++) {
      // A leaf that the kernel rewrites is a leaf meanwhile; it needs the lock for that.
      const u64 entry = retired->at(slot).load();
      if (entry == 0 || !format().is_leaf(entry, Level::pmd)) continue;
      TableLock<H> lock(host_, retired);
      retired->at(slot).clear();
    }
  }

  /// Removes every leaf in the range from both twins; 2-MiB leaves must lie in it wholly (split()
  /// the ends first). `sink(pfn, level)` gets each frame once and must not sleep: for small leaves
  /// it is called under the table's lock. With `prune`
  /// (nobody maps the object), tables that lie wholly in the range go too.
  template <class Sink>
  void remove(Range range, bool prune, Sink&& sink) {
    for (const Twin twin : twins_to_remove) {
      Level level{};
      Table* table = root(twin, level);
      if (table == nullptr) continue;
      remove_below(table, level, 0, range, prune, [&](Pfn pfn, Level leaf_level) {
        if (twin == Twin::rw) sink(pfn, leaf_level);
      });
    }
    host_.order(Site::leaves_removed);  // the caller may give the frames to others
  }

  /// Makes durable what leads to the leaves in the range: roots, tables' entries, leaves. Only for
  /// what other CPUs have installed and may not have written back yet: install() itself is durable
  /// when it returns, but for tables on its path that another CPU is linking meanwhile. A leaf that
  /// its installer has put into rw only is completed: whoever maps the object for writing sees it,
  /// and half a leaf does not count after a power cut.
  void persist(Range range) {
    Level rw_level{};
    if (Table* rw = root(Twin::rw, rw_level); rw != nullptr) complete_below(rw, rw_level, 0, range);
    for (const Twin twin : twins) {
      Level level{};
      Table* table = root(twin, level);
      if (table == nullptr) continue;
      host_.changed(Site::persisted_root, &roots_.word[unsigned(twin)], sizeof(u64));
      persist_below(table, level, 0, range);
    }
    host_.order(Site::persisted);
  }

  /// Frees tables in the range that have become empty. Nobody maps the object.
  void prune(Range range) {
    for (const Twin twin : twins_to_remove) {
      Level level{};
      Table* table = root(twin, level);
      if (table != nullptr) prune_below(table, level, 0, range);
    }
  }

  /// Frees the whole tree; nobody else uses it any more.
  template <class Sink>
  void free(Sink&& sink) {
    remove({0, pages_per_table(top_level)}, /*prune=*/true, sink);
    for (const Twin twin : twins) {
      Level level{};
      Table* table = root(twin, level);
      if (table == nullptr) continue;
      Atomic::init(roots_.word[unsigned(twin)], 0UL);
      host_.free_table(table, level);
    }
  }

  /// True if the page is the first of a slot whose 512 small leaves are all present.
  bool full(Index index) const {
    const Subtree below_slot = subtree(Twin::ro, index, Level::pmd);
    if (below_slot.kind != Subtree::Kind::table) return false;
    const Table* table = host_.table_at(below_slot.value);
    for (u64 slot = entries_per_table; slot-- > 0;)  // from the end: appending fills it last
      if (!format().is_present(table->at(slot).load())) return false;
    return true;
  }

 private:
  static constexpr u64 level_mask = 7;

  const Format& format() const { return host_.format(); }

  Table* root(Twin twin, Level& level) const {
    const u64 word = Atomic::load(roots_.word[unsigned(twin)]);
    level = static_cast<Level>(word & level_mask);
    return word == 0 ? nullptr : host_.table_at(word & ~level_mask);
  }

  /// Pages [first, first + count) of the 2-MiB slot that begins at `base`: one way down for all.
  u64 run_in_slot(Twin twin, Index base, u64 first, u64 count, u64* entries) const {
    const Subtree below_slot = subtree(twin, base, Level::pmd);
    u64 found = 0;
    for (u64 i = 0; i < count; i++) {
      u64 entry = 0;
      if (below_slot.kind == Subtree::Kind::table)
        entry = settled(host_.table_at(below_slot.value), first + i);
      const bool whole = below_slot.kind == Subtree::Kind::leaf;
      const Pfn pfn = whole ? format().pfn(below_slot.value) + first + i : format().pfn(entry);
      entries[i] = whole || entry != 0 ? format().make_leaf(twin, pfn, Level::pte) : 0;
      found += entries[i] != 0;
    }
    return found;
  }

  /// The entry, waiting out a rewrite by the kernel (state `busy`).
  u64 settled(Table* table, u64 slot) const {
    u64 entry = table->at(slot).load();
    while (entry != 0 && !format().is_present(entry)) {
      host_.wait(table);
      entry = table->at(slot).load();
    }
    return entry;
  }

  /// Walks down to the leaf. If there is none, `level` says at which level the path ends, so that
  /// a whole empty slot can be skipped.
  bool find(Twin twin, Index index, u64& entry, Level& level) const {
    Table* table = root(twin, level);
    if (table == nullptr || index >= pages_per_table(level)) {
      level = top_level;
      return false;
    }
    for (;; level = below(level)) {
      entry = settled(table, slot_of(index, level));
      if (entry == 0) return false;
      if (format().is_leaf(entry, level)) return true;
      table = host_.table_at(format().address(entry));
    }
  }

  Status grow_to(Twin twin, Level wanted) {
    u64& word = roots_.word[unsigned(twin)];
    u64 old = Atomic::template load<Order::relaxed>(word);  // not followed here
    while (static_cast<Level>(old & level_mask) < wanted) {
      const Level level = old == 0 ? wanted : above(static_cast<Level>(old & level_mask));
      Table* table = host_.allocate_table(level);
      if (table == nullptr) return Error::no_memory;
      if (old != 0) {
        table->at(0).init(format().make_table(old & ~level_mask));
        host_.changed(Site::root_table, table, sizeof(Entry));
      }
      host_.order(Site::root_ready);
      const u64 made = host_.address_of(table) | static_cast<u64>(level);
      // Release: the new root leads to the old one before it is seen. That the old one is complete,
      // who reads the word learns too: an exchange hands on what was released there before it.
      // On failure somebody else grew the tree; look again from there.
      if (Atomic::template compare_exchange<Order::release, Order::relaxed>(word, old, made)) {
        host_.changed(Site::root, &word, sizeof(word));
        old = made;
      } else {
        host_.free_table(table, level);
      }
    }
    return {};
  }

  /// The table of `level` on the path to a page, made where missing. Error::occupied if a larger
  /// leaf is in the way.
  Status descend(Twin twin, Index index, Level level, Table*& table) {
    Level at{};
    table = root(twin, at);
    while (at > level) {
      Entry& entry = table->at(slot_of(index, at));
      u64 bits = settled(table, slot_of(index, at));
      if (bits == 0) {
        Table* made = host_.allocate_table(below(at));
        if (made == nullptr) return Error::no_memory;
        const u64 desired = format().make_table(host_.address_of(made));
        host_.order(Site::table_ready);
        if (entry.publish(desired)) {
          host_.changed(Site::table_linked, &entry, sizeof(entry));
          bits = desired;
        } else {
          host_.free_table(made, below(at));
          bits = settled(table, slot_of(index, at));
        }
      }
      if (format().is_leaf(bits, at)) return Error::occupied;
      table = host_.table_at(format().address(bits));
      at = below(at);
    }
    return {};
  }

  /// Gives ro what rw has at a page. Needs no new table unless the installer of rw had them.
  void complete(Index index) {
    u64 bits = 0;
    Level level = Level::pte;
    if (!find(Twin::rw, index, bits, level)) return;
    Table* table = nullptr;
    if (!descend(Twin::ro, index, level, table).ok()) return;  // there already
    // Release: it hands on what it has found with the leaf in rw.
    table->at(slot_of(index, level))
        .publish(format().make_leaf(Twin::ro, format().pfn(bits), level));
  }

  /// The pmd table above a page; the caller knows that it exists.
  Table* parent(Twin twin, Index index) const {
    const Subtree found = subtree(twin, index - index % pages_per_table(Level::pmd), Level::pud);
    return host_.table_at(found.value);
  }

  /// A copy of a pmd table with the wanted leaves in it, for promote().
  Status copy_with(Twin twin, Table* old, Index first, const Pfn* pfns, u64 count, Table*& copy) {
    const u64 from = slot_of(first, Level::pmd);
    for (u64 i = 0; i < count; i++) {
      const u64 entry = settled(old, from + i);
      if (pfns[i] != 0 && (entry == 0 || format().is_leaf(entry, Level::pmd)))
        return Error::occupied;
    }
    copy = host_.allocate_table(Level::pmd);
    if (copy == nullptr) return Error::no_memory;
    for (u64 slot = 0; slot < entries_per_table; slot++) {
      u64 entry = settled(old, slot);
      // Anew, as the kernel may have called the old one old.
      if (entry != 0 && format().is_leaf(entry, Level::pmd))
        entry = format().make_leaf(twin, format().pfn(entry), Level::pmd);
      if (slot >= from && slot - from < count && pfns[slot - from] != 0)
        entry = format().make_leaf(twin, pfns[slot - from], Level::pmd);
      copy->at(slot).init(entry);
    }
    return {};
  }

  /// `fresh` takes the place of `old`, the pmd table above a page. The tree may be growing on top
  /// of it meanwhile, and nothing else changes: if the root is not `old` (any more), it stays
  /// above.
  void relink(Twin twin, Index index, Table* old, Table* fresh) {
    u64 seen = host_.address_of(old) | static_cast<u64>(Level::pmd);
    const u64 made = host_.address_of(fresh) | static_cast<u64>(Level::pmd);
    // Release: the copy is complete. Whoever has grown the tree instead is acquired by root().
    if (Atomic::template compare_exchange<Order::release, Order::relaxed>(
            roots_.word[unsigned(twin)], seen, made))
      return;
    Level level{};
    Table* table = root(twin, level);
    for (; level > Level::pud; level = below(level))
      table = host_.table_at(format().address(settled(table, slot_of(index, level))));
    replace(table, slot_of(index, Level::pud), format().make_table(host_.address_of(fresh)));
  }

  u64 replace(Table* table, u64 slot, u64 desired) {
    TableLock<H> lock(host_, table);
    const u64 old = table->at(slot).exchange(desired);
    host_.changed(Site::entry_replaced, &table->at(slot), sizeof(Entry));
    return old;
  }

  /// Frees a table that the entry led to.
  void unlink(Table* table, u64 slot, Table* child, Level level) {
    replace(table, slot, 0);
    host_.order(Site::table_unlinked);  // the frame may hold something else soon
    host_.free_table(child, level);
  }

  /// In the part of the range that lies in this table; the end of that part if there is none.
  Index next_below(Table* table, Level level, Index base, Range range, bool data) const {
    const u64 span = pages_per_entry(level);
    Index index = range.first > base ? range.first : base;
    for (u64 slot = (index - base) / span; slot < entries_per_table && index < range.last;
         slot++, index = base + slot * span) {
      const u64 entry = settled(table, slot);
      const bool leaf = entry != 0 && format().is_leaf(entry, level);
      if (entry == 0 || leaf) {
        if (leaf == data) return index;
        continue;
      }
      const Index from = base + slot * span;
      const Index found =
          next_below(host_.table_at(format().address(entry)), below(level), from, range, data);
      if (found < range.last && found < from + span) return found;
    }
    return index;
  }

  /// Completes every leaf of rw in the range.
  void complete_below(Table* table, Level level, Index base, Range range) {
    const u64 span = pages_per_entry(level);
    const Subtree beside = level == Level::pte ? subtree(Twin::ro, base, Level::pmd) : Subtree{};
    Table* ro = beside.kind == Subtree::Kind::table ? host_.table_at(beside.value) : nullptr;
    u64 slot = range.first <= base ? 0 : (range.first - base) / span;
    for (; slot < entries_per_table && base + slot * span < range.last; slot++) {
      const u64 entry = settled(table, slot);
      if (entry == 0 || (ro != nullptr && ro->at(slot).load() != 0)) continue;
      const Index index = base + slot * span;
      if (format().is_leaf(entry, level))
        complete(index);
      else
        complete_below(host_.table_at(format().address(entry)), below(level), index, range);
    }
  }

  void persist_below(Table* table, Level level, Index base, Range range) {
    const u64 span = pages_per_entry(level);
    const u64 first = range.first <= base ? 0 : (range.first - base) / span;
    u64 slot = first;
    for (; slot < entries_per_table && base + slot * span < range.last; slot++) {
      const u64 entry = level == Level::pte ? 0 : settled(table, slot);
      if (entry != 0 && !format().is_leaf(entry, level))
        persist_below(host_.table_at(format().address(entry)), below(level), base + slot * span,
                      range);
    }
    if (slot > first)
      host_.changed(Site::persisted_entries, &table->at(first), (slot - first) * sizeof(Entry));
  }

  /// True if the table is empty when it returns.
  bool prune_below(Table* table, Level level, Index base, Range range) {
    const u64 span = pages_per_entry(level);
    bool empty = true;
    for (u64 slot = 0; slot < entries_per_table; slot++) {
      const u64 entry = settled(table, slot);
      if (entry == 0) continue;
      const Index from = base + slot * span;
      if (format().is_leaf(entry, level) || from >= range.last || from + span <= range.first) {
        empty = false;
        continue;
      }
      Table* child = host_.table_at(format().address(entry));
      if (!prune_below(child, below(level), from, range)) {
        empty = false;
        continue;
      }
      unlink(table, slot, child, below(level));
    }
    return empty;
  }

  template <class Sink>
  void remove_below(Table* table, Level level, Index base, Range range, bool prune, Sink&& sink) {
    const u64 span = pages_per_entry(level);
    const u64 first = range.first <= base ? 0 : (range.first - base) / span;
    if (level == Level::pte) {
      TableLock<H> lock(host_, table);
      u64 slot = first;
      for (; slot < entries_per_table && base + slot < range.last; slot++) {
        const u64 entry = table->at(slot).load();
        if (entry == 0) continue;
        table->at(slot).clear();
        sink(format().pfn(entry), level);
      }
      host_.changed(Site::leaves_cleared, &table->at(first), (slot - first) * sizeof(Entry));
      return;
    }
    for (u64 slot = first; slot < entries_per_table && base + slot * span < range.last; slot++) {
      const u64 entry = settled(table, slot);
      if (entry == 0) continue;
      const Index from = base + slot * span;
      if (format().is_leaf(entry, level)) {
        if (!range.covers(from, span)) continue;
        sink(format().pfn(replace(table, slot, 0)), level);
        continue;
      }
      Table* child = host_.table_at(format().address(entry));
      remove_below(child, below(level), from, range, prune, sink);
      if (prune && range.covers(from, span)) unlink(table, slot, child, below(level));
    }
  }

  mutable H host_;
  Roots& roots_;
};

}  // namespace morsel::core
