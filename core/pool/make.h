/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// An empty pool. The superblock goes first and comes last, so that a power cut leaves no pool, or
// all of it.
#pragma once

#include "inode.h"
#include "superblock.h"

namespace morsel::core::pool {

/// `sb` says frames, base, uuid, label; all else of it is filled in. `root` says mode, owner and
/// times of the root directory.
template <Media M>
void make_pool(M& media, Superblock& sb, NewInode& root) {
  for (unsigned i = 0; i < 2; i++) {
    void* copy = media.at(superblock_frame[i]);
    media.zero(copy, frame_bytes);
    media.flush(Site::make_void, copy, frame_bytes);
  }
  media.fence(Site::make_begun);
  media.zero(media.at(log_frame), frame_bytes);
  media.flush(Site::make_log, media.at(log_frame), frame_bytes);
  root.header.type = type_directory;
  make_inode(media, root_inode_frame, root);
  media.fence(Site::make_ready);
  sb.magic = pool_magic;
  sb.version = pool_version;
  sb.phase = Phase::settled;
  sb.clean = 1;
  sb.generation = 0;
  write_superblock(media, sb);
  write_superblock(media, sb);
}

}  // namespace morsel::core::pool
