// SPDX-License-Identifier: MIT
// The pages of a file whose tables the walk has found sound.
#pragma once

#include "image.h"

namespace morsel::pool {

using core::Index;
using core::Level;
using core::Twin;

/// A row of pages in frames that lie in a row.
struct Extent {
  Index page;
  Frame frame;
  u64 pages;
};

/// Where an entry or a root word leads. What is not present (of a pool that is moving to another
/// base) holds the frame itself.
inline Frame frame_of(u64 word, bool relative, core::Phys base) {
  return ((word & media_format().pfn_mask) - (relative ? 0 : base)) / frame_bytes;
}

/// Calls visit(page, frame) for each page, from the first one on.
template <class Visit>
void each_page(const Image& image, Frame table, Level level, Index first, core::Phys base,
               Visit&& visit) {
  const u64* entry = static_cast<const u64*>(image.at(table));
  for (u64 slot = 0; slot < core::entries_per_table; ++slot) {
    if (entry[slot] == 0) continue;
    const Index page = first + slot * pages_per_entry(level);
    const Frame frame = frame_of(entry[slot], !media_format().is_present(entry[slot]), base);
    if (level == Level::pte)
      visit(page, frame);
    else
      each_page(image, frame, core::below(level), page, base, visit);
  }
}

/// Calls visit(extent) for each row of pages.
template <class Visit>
void each_extent(const Image& image, const Inode& inode, Twin twin, core::Phys base,
                 Visit&& visit) {
  const u64 root = inode.roots[static_cast<unsigned>(twin)];
  if (root == 0) return;
  Extent extent{};
  each_page(image, frame_of(root, (root & root_relative) != 0, base),
            static_cast<Level>(root & root_level_mask), 0, base, [&](Index page, Frame frame) {
              if (page == extent.page + extent.pages && frame == extent.frame + extent.pages) {
                extent.pages++;
                return;
              }
              if (extent.pages != 0) visit(extent);
              extent = {page, frame, 1};
            });
  if (extent.pages != 0) visit(extent);
}

}  // namespace morsel::pool
