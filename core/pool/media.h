/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// The medium, as a concept: the one way in which a pool is read and written. And what hands out
// its frames. Hosts: the kernel's persistent memory, an image file (tools/), the simulator (sim/),
// which records every store, flush and fence.
#pragma once

#include "../host.h"
#include "../result.h"
#include "layout.h"

namespace morsel::core::pool {

/// The medium is memory: 4-KiB frames at constant addresses.
///
///   frames()            how many there are
///   at(frame)           pointer to one; the caller has checked that it is one
///   store(word, value)  one aligned 8-byte store, seen whole or not at all, by CPUs and after a
///                       power cut; release
///   write(to, from, n)  plain stores of n bytes, in any order
///   zero(to, n)         the same, of zeros
///   note(word, value)   a store whose fate in a power cut does not matter
///   flush(site, p, n)   begins to write back the lines that hold these bytes
///   fence(site)         what this CPU has begun to write back is durable before what follows
template <class M>
concept Media = requires(M& m, Frame frame, u64* word, u64 value, void* to, const void* from,
                         u64 n) {
  { m.frames() } -> Is<u64>;
  { m.at(frame) } -> Is<void*>;
  { m.store(word, value) } -> Is<void>;
  { m.write(to, from, n) } -> Is<void>;
  { m.zero(to, n) } -> Is<void>;
  { m.note(word, value) } -> Is<void>;
  { m.flush(Site::data, from, n) } -> Is<void>;
  { m.fence(Site::data) } -> Is<void>;
};

/// Hands out single frames; core/frames.h behind whatever a host puts around it.
///
///   get()       a frame that nobody else has; Error::no_space
///   put(frame)  nothing on the medium leads to it any more, durably
template <class A>
concept Frames = requires(A& a, Frame frame) {
  { a.get() } -> Is<Result<Frame>>;
  { a.put(frame) } -> Is<void>;
};

/// The structure in a frame, or at a place in the pool.
template <class T, Media M>
T* in_frame(M& media, Frame frame) {
  return static_cast<T*>(media.at(frame));
}
template <class T, Media M>
T* at_place(M& media, Place place) {
  return reinterpret_cast<T*>(static_cast<u8*>(media.at(place / frame_bytes)) +
                              place % frame_bytes);
}

constexpr bool is_usable(Frame frame, u64 frames) {
  return frame >= first_free_frame && frame < frames;
}

}  // namespace morsel::core::pool
