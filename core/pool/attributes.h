/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// An inode's attributes: two slots, written in turn, so that all of them change at once.
#pragma once

#include "crc.h"
#include "media.h"

namespace morsel::core::pool {

/// The sequence says which slot it is for, so that the next writing never hits what counts.
inline bool is_whole(const Attributes& slot, unsigned index) {
  return slot.sequence != 0 && slot.sequence % 2 == index && slot.crc == crc_of(slot);
}

/// Which of the two slots counts; Error::damaged if neither is whole.
inline Result<unsigned> current_attributes(const Inode& inode) {
  const bool whole[2] = {is_whole(inode.attributes[0], 0), is_whole(inode.attributes[1], 1)};
  if (!whole[0] && !whole[1]) return Error::damaged;
  if (whole[0] && whole[1])
    return unsigned(inode.attributes[1].sequence > inode.attributes[0].sequence);
  return unsigned(whole[1]);
}

inline Result<Attributes> read_attributes(const Inode& inode) {
  const Result<unsigned> slot = current_attributes(inode);
  if (!slot.ok()) return slot.error();
  return inode.attributes[slot.value()];
}

/// Replaces all of them; durable when it returns, and `next.sequence` is what it was written with.
/// `next` holds the sequence of what is there. One at a time for each inode.
template <Media M>
void write_attributes(M& media, Inode* inode, Attributes& next) {
  next.sequence++;
  next.crc = crc_of(next);
  Attributes* slot = &inode->attributes[next.sequence % 2];
  media.write(slot, &next, sizeof(next));
  media.flush(Site::attributes, slot, sizeof(next));
  media.fence(Site::attributes_written);
}

}  // namespace morsel::core::pool
