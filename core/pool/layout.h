/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// What lies where on the medium: docs/format.md in code. Little endian; every pointer is a frame
// number, 0 for none, but page-table entries and root words, which hold physical addresses.
#pragma once

#include "../entry.h"

namespace morsel::core::pool {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using s64 = long;

/// Number of a frame of the pool, from its start.
using Frame = u64;
/// Byte offset in the pool.
using Place = u64;

inline constexpr u64 frame_bytes = 1UL << page_shift;
inline constexpr u64 line_bytes = 64;

inline constexpr Frame superblock_frame[2] = {0, 1};
inline constexpr Frame log_frame = 2;
inline constexpr Frame root_inode_frame = 3;
/// The first frame that can be anything.
inline constexpr Frame first_free_frame = 4;
inline constexpr u64 least_frames = 16;
/// What a root word can hold: 2^51 bytes.
inline constexpr u64 most_frames = 1UL << 39;

/// Where the move to another base stands: see rebase.h.
enum class Phase : u32 { settled = 0, loosening = 1, binding = 2 };

inline constexpr u64 pool_magic = 0x6c6f6f506c73724dUL;  // "MrslPool"
inline constexpr u32 pool_version = 1;

struct Superblock {
  u64 magic;
  u32 version;
  u32 crc;         ///< CRC32C of the structure, with this field 0
  u64 compat;      ///< features that who does not know them may ignore
  u64 ro_compat;   ///< features that who does not know them must not write with
  u64 incompat;    ///< features that who does not know them must keep away from
  u64 generation;  ///< grows by one with each writing; the valid copy with the greater one counts
  u64 base;        ///< physical address of frame 0, which the entries are made for
  u64 frames;
  u8 uuid[16];
  u8 label[32];  ///< padded with zeros
  Phase phase;
  u32 clean;  ///< 1 after an orderly unmount
  u64 reserved[17];
};
static_assert(sizeof(Superblock) == 256);

struct LogChange {
  Place place;  ///< of an aligned word
  u64 value;
};

/// Words that change together or not at all.
struct LogRecord {
  u32 magic;
  u32 crc;  ///< of the structure, with this field 0
  u64 count;
  LogChange change[4];
  u64 reserved[6];
};
static_assert(sizeof(LogRecord) == 128);
inline constexpr u32 log_magic = 0x474f4c4d;  // "MLOG"
inline constexpr unsigned log_records = frame_bytes / sizeof(LogRecord);
inline constexpr unsigned log_changes = 4;

struct Time {
  s64 seconds;
  u64 nanoseconds;
};

/// What stat(2) shows and changes. Two of them in an inode; the valid one with the greater
/// sequence counts.
struct Attributes {
  u64 sequence;
  u64 size;
  u32 mode;  ///< permission bits only, 07777
  u32 uid;
  u32 gid;
  u32 flags;   ///< FS_*_FL of chattr(1)
  u32 sealed;  ///< 1: contents and size stay for ever
  u32 crc;     ///< of the structure, with this field 0
  Time access;
  Time modification;
  Time change;
  u64 reserved[5];
};
static_assert(sizeof(Attributes) == 128);

/// Never changes in an inode's life.
struct InodeHeader {
  u32 magic;
  u32 crc;     ///< of the structure, with this field 0
  u64 number;  ///< its own frame
  u32 type;    ///< S_IFMT bits of the mode
  u32 rdev_major;
  u32 rdev_minor;
  u32 link_crc;    ///< of a symbolic link's target, in the frame that `link` leads to
  u64 link_bytes;  ///< without a zero at the end
  Time birth;
  u64 reserved;
};
static_assert(sizeof(InodeHeader) == 64);
inline constexpr u32 inode_magic = 0x4f4e494d;  // "MINO"

struct Inode {
  InodeHeader header;
  /// Each published by one store.
  u64 roots[2];  ///< by twin: physical address of the root table | its level
  Frame names;   ///< of a directory: the first frame of names
  Frame link;    ///< of a symbolic link: the frame with its target
  Frame xattrs;  ///< a Payload
  u64 reserved[3];
  Attributes attributes[2];
};
static_assert(sizeof(Inode) == 384);

inline constexpr u32 type_mask = 0170000, type_fifo = 0010000, type_char = 0020000,
                     type_directory = 0040000, type_block = 0060000, type_regular = 0100000,
                     type_link = 0120000, type_socket = 0140000;
inline constexpr u64 link_bytes_limit = frame_bytes - 1;

/// A frame with bytes that are replaced as a whole.
struct Payload {
  u32 magic;
  u32 crc;  ///< of the structure up to the last byte, with this field 0
  u64 bytes;
  u8 data[frame_bytes - 16];
};
static_assert(sizeof(Payload) == frame_bytes);
inline constexpr u32 payload_magic = 0x5941504d;  // "MPAY"

inline constexpr u64 name_limit = 255;

struct Name {
  Frame target;  ///< an inode; 0: the slot is free, and all else in it means nothing
  u32 crc;       ///< of place, length and bytes
  u16 length;
  u16 reserved;
  u8 bytes[name_limit + 1];
};
static_assert(sizeof(Name) == 272);

inline constexpr unsigned names_per_frame = 15;
struct NamesFrame {
  u64 magic;
  Frame next;
  Name name[names_per_frame];
};
static_assert(sizeof(NamesFrame) == frame_bytes);
inline constexpr u64 names_magic = 0x53454d414e4d4d4dUL;  // "MMMNAMES"

/// The flags of entries on the medium, which are those of the hardware. A machine with others
/// (memory encryption, no NX) can't mount pools.
constexpr Format media_format() {
  constexpr u64 present = 1, write = 2, user = 4, accessed = 0x20, dirty = 0x40, huge = 0x80,
                soft_dirty = 0x800, nx = 1UL << 63;
  return {present,
          write,
          accessed,
          dirty,
          huge,
          /*pfn_mask=*/0x000ffffffffff000UL,
          /*table=*/present | write | user | accessed | dirty,
          /*leaf=*/
          {present | write | user | accessed | dirty | soft_dirty | nx,
           present | user | accessed | nx}};
}
/// Set in writable leaves; a dumper (CRIU) may clear it.
inline constexpr u64 media_soft_dirty = 0x800;
static_assert(media_format().sound());

/// Low bits of a root word.
inline constexpr u64 root_level_mask = 7;
/// In a root word that is relative (rebase.h): its address is a frame number << 12.
inline constexpr u64 root_relative = 8;

}  // namespace morsel::core::pool
