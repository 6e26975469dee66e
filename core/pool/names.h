/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// Directories: chains of frames with 15 names each. A name counts while its target is not 0.
//
// Whoever changes a directory holds it alone (the kernel: its i_rwsem). Two directories that change
// together (rename) change through the log.
#pragma once

#include "inode.h"
#include "log.h"

namespace morsel::core::pool {

/// What is known of a directory while it is mounted; made by the walk, never written.
struct Directory {
  Frame inode;
  Frame last;  ///< its last frame of names, 0 for none
  Place free;  ///< a free slot, which leads to the next one; 0 for none
};

inline constexpr Place name_place(Frame frame, unsigned slot) {
  return frame * frame_bytes + __builtin_offsetof(NamesFrame, name) + slot * sizeof(Name);
}

inline u32 name_crc(Place place, const Name& name) {
  u32 crc = crc32c(&place, sizeof(place));
  crc = crc32c(&name.length, sizeof(name.length), crc);
  return crc32c(name.bytes, name.length, crc);
}

/// A name that a lookup could meet: not empty, not "." or "..", no slash, no zero.
inline bool is_name(const u8* bytes, u64 length) {
  if (length == 0 || length > name_limit) return false;
  for (u64 i = 0; i < length; i++)
    if (bytes[i] == '/' || bytes[i] == 0) return false;
  return bytes[0] != '.' || length > 2 || (length == 2 && bytes[1] != '.');
}

inline bool is_whole(Place place, const Name& name) {
  return name.length <= name_limit && name.crc == name_crc(place, name) &&
         is_name(name.bytes, name.length);
}

/// Free slots form a list through their first bytes, whose fate in a power cut does not matter.
template <Media M>
void note_free_name(M& media, Directory& directory, Place place) {
  media.note(reinterpret_cast<u64*>(at_place<Name>(media, place)->bytes), directory.free);
  directory.free = place;
}

/// One more frame of names at the directory's end; durable when it returns.
template <Media M, Frames A>
Status grow_directory(M& media, A& frames, Directory& directory) {
  const Result<Frame> got = frames.get();
  if (!got.ok()) return got.error();
  NamesFrame* made = in_frame<NamesFrame>(media, got.value());
  media.zero(made, sizeof(*made));
  media.store(&made->magic, names_magic);
  media.flush(Site::names_frame, made, sizeof(*made));
  media.fence(Site::names_ready);
  Frame* link = directory.last == 0 ? &in_frame<Inode>(media, directory.inode)->names
                                    : &in_frame<NamesFrame>(media, directory.last)->next;
  media.store(link, got.value());
  media.flush(Site::names_linked, link, sizeof(*link));  // name_published fences
  directory.last = got.value();
  for (unsigned slot = names_per_frame; slot-- > 0;)
    note_free_name(media, directory, name_place(got.value(), slot));
  return {};
}

/// Takes a slot and writes a name that leads nowhere yet; flushed, not fenced. Error::no_space.
template <Media M, Frames A>
Result<Place> prepare_name(M& media, A& frames, Directory& directory, const void* bytes,
                           u64 length) {
  if (length == 0 || length > name_limit) return Error::too_large;
  if (directory.free == 0) {
    const Status status = grow_directory(media, frames, directory);
    if (!status.ok()) return status.error();
  }
  const Place place = directory.free;
  Name* name = at_place<Name>(media, place);
  __builtin_memcpy(&directory.free, name->bytes, sizeof(directory.free));
  Name made{};
  made.length = static_cast<u16>(length);
  __builtin_memcpy(made.bytes, bytes, length);
  made.crc = name_crc(place, made);
  // All but the target, which is 0.
  media.write(&name->crc, &made.crc, sizeof(made) - sizeof(made.target));
  media.flush(Site::name, name, sizeof(*name));
  return place;
}

/// The name, and what it leads to, appear; durable when it returns.
template <Media M>
void publish_name(M& media, Place place, Frame target) {
  Frame* word = &at_place<Name>(media, place)->target;
  media.fence(Site::name_ready);
  media.store(word, target);
  media.flush(Site::name_target, word, sizeof(*word));
  media.fence(Site::name_published);
}

/// The name goes; durable when it returns.
template <Media M>
void clear_name(M& media, Directory& directory, Place place) {
  Frame* word = &at_place<Name>(media, place)->target;
  media.store(word, 0);
  media.flush(Site::name_target, word, sizeof(*word));
  media.fence(Site::name_published);
  note_free_name(media, directory, place);
}

/// Calls visit(place, name) for each slot of a directory that is sound, until it returns false.
template <Media M, class Visit>
void each_name(M& media, Frame inode, Visit&& visit) {
  for (Frame at = in_frame<Inode>(media, inode)->names; at != 0;
       at = in_frame<NamesFrame>(media, at)->next)
    for (unsigned slot = 0; slot < names_per_frame; slot++) {
      const Name& name = in_frame<NamesFrame>(media, at)->name[slot];
      if (name.target != 0 && !visit(name_place(at, slot), name)) return;
    }
}

}  // namespace morsel::core::pool
