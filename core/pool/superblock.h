/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// The superblock: two copies, written in turn, so that one of them is whole at any time.
#pragma once

#include "crc.h"
#include "media.h"

namespace morsel::core::pool {

/// The generation says which copy it is for, so that the next writing never hits what counts.
inline bool is_whole(const Superblock& copy, unsigned index) {
  return copy.magic == pool_magic && copy.generation % 2 == index && copy.crc == crc_of(copy);
}

/// What whoever knows this version may do with a whole superblock on a medium of `frames`.
inline Status admits(const Superblock& copy, u64 frames) {
  if (copy.version != pool_version || copy.incompat != 0) return Error::unsupported;
  const bool sound = copy.frames >= least_frames && copy.frames <= frames &&
                     copy.frames <= most_frames && copy.base % frame_bytes == 0 &&
                     copy.base <= media_format().pfn_mask - copy.frames * frame_bytes &&
                     copy.phase <= Phase::binding && copy.clean <= 1;
  return sound ? Status{} : Status{Error::damaged};
}

/// The copy that counts. Error::not_a_pool, unsupported or damaged. `whole` says how many copies
/// are whole: 1 is what a power cut while one was written leaves.
template <Media M>
Result<Superblock> read_superblock(M& media, unsigned& whole) {
  whole = 0;
  Superblock best{};
  if (media.frames() < least_frames) return Error::not_a_pool;
  for (unsigned i = 0; i < 2; i++) {
    const Superblock copy = *in_frame<Superblock>(media, superblock_frame[i]);
    if (!is_whole(copy, i)) continue;
    if (whole++ == 0 || copy.generation > best.generation) best = copy;
  }
  if (whole == 0) return Error::not_a_pool;
  const Status status = admits(best, media.frames());
  if (!status.ok()) return status.error();
  return best;
}

/// Writes `next` as the next generation over the older copy; durable when it returns. One at a
/// time. What it tells must be durable by then.
template <Media M>
void write_superblock(M& media, Superblock& next) {
  next.generation++;
  next.crc = crc_of(next);
  Superblock* copy = in_frame<Superblock>(media, superblock_frame[next.generation % 2]);
  media.write(copy, &next, sizeof(next));
  media.flush(Site::superblock, copy, sizeof(next));
  media.fence(Site::superblock_written);
}

}  // namespace morsel::core::pool
