/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// Inodes: one frame each; and the frames with a symbolic link's target or with extended attributes.
#pragma once

#include "attributes.h"

namespace morsel::core::pool {

inline bool is_type(u32 type) {
  return type == type_fifo || type == type_char || type == type_directory || type == type_block ||
         type == type_regular || type == type_link || type == type_socket;
}

inline bool is_whole(const InodeHeader& header, Frame frame) {
  return header.magic == inode_magic && header.number == frame && is_type(header.type) &&
         header.crc == crc_of(header);
}

/// What an inode begins with. `header.number`, magics and checksums are filled in.
struct NewInode {
  InodeHeader header;
  Attributes attributes;
};

/// Writes a new inode into a frame that nothing leads to; flushed, not fenced: what publishes it
/// fences first. `made.attributes` is what lies on the medium then.
template <Media M>
void make_inode(M& media, Frame frame, NewInode& made, Frame link = 0) {
  Inode inode{};
  made.header.magic = inode_magic;
  made.header.number = frame;
  made.header.crc = crc_of(made.header);
  made.attributes.sequence = 2;
  made.attributes.crc = crc_of(made.attributes);
  inode.header = made.header;
  inode.link = link;
  inode.attributes[0] = made.attributes;
  void* to = media.at(frame);
  media.write(to, &inode, sizeof(inode));
  media.flush(Site::inode, to, sizeof(inode));
}

/// Writes a symbolic link's target (1 to link_bytes_limit bytes) into a frame, and what tells of it
/// into the header of the inode to be; flushed, not fenced.
template <Media M>
void make_link(M& media, Frame frame, const void* target, u64 bytes, InodeHeader& header) {
  header.link_bytes = bytes;
  header.link_crc = crc32c(target, bytes);
  u8* to = in_frame<u8>(media, frame);
  media.write(to, target, bytes);
  media.zero(to + bytes, 1);
  media.flush(Site::payload, to, bytes + 1);
}

template <Media M>
bool is_whole_link(M& media, const Inode& inode) {
  const InodeHeader& header = inode.header;
  return is_usable(inode.link, media.frames()) && header.link_bytes > 0 &&
         header.link_bytes <= link_bytes_limit &&
         header.link_crc == crc32c(media.at(inode.link), header.link_bytes) &&
         in_frame<u8>(media, inode.link)[header.link_bytes] == 0;
}

inline u32 payload_crc(const Payload& payload) {
  u32 crc = crc32c(&payload.magic, sizeof(payload.magic));
  crc = crc32c(&payload.bytes, sizeof(payload.bytes), crc);
  return crc32c(payload.data, payload.bytes, crc);
}

template <Media M>
bool is_whole_payload(M& media, Frame frame) {
  if (!is_usable(frame, media.frames())) return false;
  const Payload* payload = in_frame<Payload>(media, frame);
  return payload->magic == payload_magic && payload->bytes <= sizeof(payload->data) &&
         payload->crc == payload_crc(*payload);
}

/// Makes `*word` lead to a new frame with these bytes (to none if there are none), all at once, and
/// gives the old frame back. Durable when it returns. Error::no_space: nothing is changed;
/// Error::too_large above sizeof(Payload::data). One at a time for each word.
template <Media M, Frames A>
Status replace_payload(M& media, A& frames, u64* word, const void* data, u64 bytes) {
  if (bytes > sizeof(Payload::data)) return Error::too_large;
  const Frame old = *word;
  Frame made = 0;
  if (bytes != 0) {
    const Result<Frame> got = frames.get();
    if (!got.ok()) return got.error();
    made = got.value();
    Payload* payload = in_frame<Payload>(media, made);
    struct {
      u32 magic, crc;
      u64 bytes;
    } head = {payload_magic, 0, bytes};
    head.crc = crc32c(&head.magic, sizeof(head.magic));
    head.crc = crc32c(&head.bytes, sizeof(head.bytes), head.crc);
    head.crc = crc32c(data, bytes, head.crc);
    media.write(payload, &head, sizeof(head));
    media.write(payload->data, data, bytes);
    media.flush(Site::payload, payload, sizeof(head) + bytes);
    media.fence(Site::payload_ready);
  }
  media.store(word, made);
  media.flush(Site::payload_linked, word, sizeof(*word));
  media.fence(Site::payload_done);
  if (old != 0) frames.put(old);
  return {};
}

}  // namespace morsel::core::pool
