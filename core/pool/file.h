/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// Bytes of regular files: frames that get into a tree, and how what lies in them becomes durable.
#pragma once

#include "tree_host.h"

namespace morsel::core::pool {

/// Fills a hole with a frame that `fill(void* frame)` has written whole (through the medium).
/// Durable when it returns. Error::no_space, no_memory (no frame for a table), occupied: nothing is
/// changed, and the frame is given back.
template <Media M, Frames A, class Fill>
Status fill_hole(M& media, A& frames, Tree<TreeHost<M, A>>& tree, Phys base, Index index,
                 Fill&& fill) {
  const Result<Frame> got = frames.get();
  if (!got.ok()) return got.error();
  void* frame = media.at(got.value());
  fill(frame);
  media.flush(Site::data, frame, frame_bytes);
  const Status status =
      tree.install(index, Level::pte, base / frame_bytes + got.value());  // fences first
  if (!status.ok()) frames.put(got.value());
  return status;
}

/// Writes bytes of a frame that is in use; durable after the next persist_data().
template <Media M>
void write_bytes(M& media, Frame frame, u64 offset, const void* from, u64 bytes) {
  u8* to = in_frame<u8>(media, frame) + offset;
  media.write(to, from, bytes);
  media.flush(Site::data_range, to, bytes);
}

template <Media M>
void persist_data(M& media) {
  media.fence(Site::data_done);
}

}  // namespace morsel::core::pool
