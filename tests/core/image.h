// SPDX-License-Identifier: MIT
//
// What the hardware would see: a walk over a whole twin that shares nothing with core's own walks
// but the format, and the rules that every tree at rest keeps.
#pragma once

#include <map>
#include <set>
#include <sstream>
#include <string>

#include "frames.h"

namespace morsel::test {

struct LeafSeen {
  Level level;
  Pfn pfn;
  bool operator==(const LeafSeen&) const = default;
};
using Leaves = std::map<Index, LeafSeen>;

struct TableSeen {
  Level level;
  Index base;
  auto operator<=>(const TableSeen&) const = default;
};

struct Image {
  Leaves leaves;
  std::set<TableSeen> tables;
  std::string wrong;  ///< the first broken rule, or empty
};

/// `Tables` is the arena, or what explored trees have in its place.
template <class Tables>
class ImageReader {
 public:
  ImageReader(const Tables& arena, Twin twin) : arena_(arena), twin_(twin) {}

  Image read(const Roots& roots) {
    const u64 word = __atomic_load_n(&roots.word[unsigned(twin_)], __ATOMIC_ACQUIRE);
    if (word != 0) table(word & ~7UL, word & 7, 0);
    return std::move(image_);
  }

 private:
  void wrong(const char* what, Index index, u64 bits) {
    if (!image_.wrong.empty()) return;
    std::ostringstream out;
    out << what << " in " << (twin_ == Twin::rw ? "rw" : "ro") << " at page " << index << ": "
        << std::hex << bits;
    image_.wrong = out.str();
  }

  void table(Phys phys, u64 level, Index base) {
    const auto* table = arena_.table_at(phys);
    if (!arena_.is_live(table)) return wrong("a table that was given back", base, phys);
    if (level < 1 || level > 4) return wrong("a root of no level", base, level);
    image_.tables.insert({Level(level), base});
    for (u64 slot = 0; slot < 512; slot++) {
      const u64 bits = table->at(slot).load();
      if (bits != 0) entry(bits, level, base + (slot << (9 * (level - 1))));
    }
  }

  void entry(u64 bits, u64 level, Index index) {
    const Format& format = arena_.format();
    const u64 address = bits & format.pfn_mask, huge = bits & format.huge;
    if (level > 1 && huge == 0) {
      if (bits != (address | format.table)) wrong("flags of a table", index, bits);
      return table(address, level - 1, index);
    }
    if (level > 2) return wrong("a leaf above 2 MiB", index, bits);
    if ((huge != 0) != (level == 2)) wrong("the bit of large leaves", index, bits);
    if (level == 2 && address % (1UL << 21) != 0) wrong("a skew 2-MiB leaf", index, bits);
    // Rule 5: read-only is W=0 D=0 A=1, writable is W=1 D=1 A=1.
    const u64 state = bits & (format.present | format.write | format.accessed | format.dirty);
    const u64 right = twin_ == Twin::ro
                          ? format.present | format.accessed
                          : format.present | format.write | format.accessed | format.dirty;
    if (state != right) wrong("write, dirty, accessed", index, bits);
    if ((bits & ~address & ~huge) != format.leaf[unsigned(twin_)])
      wrong("flags of a leaf", index, bits);
    image_.leaves[index] = {Level(level), address >> 12};
  }

  const Tables& arena_;
  const Twin twin_;
  Image image_;
};

/// The first rule that a tree at rest breaks, or nothing: twins hold the same leaves with the
/// right bits, every live table is reachable once, every reference belongs to a leaf.
/// `retired`: tables that are kept though nothing leads to them.
template <class Tables, class Counts>
std::string fault_of(const Tables& arena, const Counts& frames, const Roots& roots,
                     u64 retired = 0) {
  const Image rw = ImageReader(arena, Twin::rw).read(roots);
  const Image ro = ImageReader(arena, Twin::ro).read(roots);
  std::ostringstream out;
  if (!rw.wrong.empty()) return rw.wrong;
  if (!ro.wrong.empty()) return ro.wrong;
  if (rw.leaves != ro.leaves) return "the twins hold different leaves";
  if (u64(arena.live()) != rw.tables.size() + ro.tables.size() + retired) {
    out << arena.live() << " tables live, " << rw.tables.size() + ro.tables.size() << " reachable";
  } else if (u64(frames.held()) != rw.leaves.size()) {
    out << frames.held() << " references, " << rw.leaves.size() << " leaves";
  }
  return out.str();
}

}  // namespace morsel::test
