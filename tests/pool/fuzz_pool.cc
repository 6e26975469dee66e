// SPDX-License-Identifier: MIT
//
// Hostile media: a sound pool with one of everything, in which words are changed, with the right
// checksums or not. Whatever they are: nothing beyond the medium is touched, what is told to be
// sound leads nowhere else, and after a repair a second look finds nothing.
//
// The input is a list of changes, so that a fuzzer need not guess checksums.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "pool.h"

namespace morsel::core::pool::test {
namespace {

constexpr u64 frames = 96;

/// The pool, and the places that mean something.
struct Original {
  Pool pool{frames};
  Sample has = sample(pool);
  std::vector<Place> places;

  Original() {
    words(0, sizeof(Superblock));
    words(frame_bytes, sizeof(Superblock));
    words(log_frame * frame_bytes, 2 * sizeof(LogRecord));
    inode(root_inode_frame);
    must(pool.mount(Mending::none));
    for (const auto& [frame, object] : pool.seen.objects) inode(frame);
    for (Frame frame = first_free_frame; frame < frames; frame++) {
      if (in_frame<NamesFrame>(pool.media, frame)->magic == names_magic) names(frame);
      if (in_frame<Payload>(pool.media, frame)->magic == payload_magic)
        words(frame * frame_bytes, 64);
    }
    for (const Frame file : {has.file, has.tall, has.sparse, has.inner})
      for (const u64 root : pool.inode(file)->roots) table(root, root & root_level_mask);
    words(pool.inode(has.link)->link * frame_bytes, 16);
  }

 private:
  void words(Place first, u64 bytes) {
    for (u64 at = 0; at < bytes; at += sizeof(u64)) places.push_back(first + at);
  }
  void inode(Frame frame) { words(frame * frame_bytes, sizeof(Inode)); }
  void names(Frame frame) {
    words(frame * frame_bytes, 16);
    for (unsigned slot = 0; slot < names_per_frame; slot++) words(name_place(frame, slot), 32);
  }
  void table(u64 address, u64 level) {
    const Frame frame = ((address & media_format().pfn_mask) - pool.sb.base) / frame_bytes;
    words(frame * frame_bytes, 24UL * sizeof(u64));
    u64* entry = in_frame<u64>(pool.media, frame);
    for (u64 slot = 0; slot < entries_per_table && level > 1; slot++)
      if (entry[slot] != 0) table(entry[slot], level - 1);
  }
};

const Original& original() {
  static const Original made;
  return made;
}

/// Bytes of the input, one value after the other; 0 behind the end.
class Input {
 public:
  Input(const uint8_t* data, size_t bytes) : data_(data), left_(bytes) {}
  [[nodiscard]] bool empty() const { return left_ == 0; }
  template <class T>
  T take() {
    T value{};
    const size_t bytes = left_ < sizeof(T) ? left_ : sizeof(T);
    std::memcpy(&value, data_, bytes);
    data_ += bytes;
    left_ -= bytes;
    return value;
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

/// Gives what lies around a place the checksums that it should have.
void seal(Memory& media, Place place) {
  const Frame frame = place / frame_bytes;
  const u64 offset = place % frame_bytes;
  if (frame < 2) {
    Superblock* sb = in_frame<Superblock>(media, frame);
    sb->crc = crc_of(*sb);
    return;
  }
  if (frame == log_frame) {
    LogRecord* record = in_frame<LogRecord>(media, frame) + offset / sizeof(LogRecord);
    record->magic = log_magic;
    record->count %= log_changes + 2;
    record->crc = crc_of(*record);
    return;
  }
  Inode* inode = in_frame<Inode>(media, frame);
  NamesFrame* names = in_frame<NamesFrame>(media, frame);
  Payload* payload = in_frame<Payload>(media, frame);
  if (inode->header.magic == inode_magic) {
    inode->header.number = frame;
    if (inode->header.type == type_link && inode->link < media.frames() &&
        inode->header.link_bytes <= link_bytes_limit)
      inode->header.link_crc = crc32c(media.at(inode->link), inode->header.link_bytes);
    inode->header.crc = crc_of(inode->header);
    for (Attributes& slot : inode->attributes) slot.crc = crc_of(slot);
  } else if (names->magic == names_magic) {
    for (unsigned i = 0; i < names_per_frame; i++)
      if (names->name[i].length <= name_limit)
        names->name[i].crc = name_crc(name_place(frame, i), names->name[i]);
  } else if (payload->magic == payload_magic && payload->bytes <= sizeof(payload->data)) {
    payload->crc = payload_crc(*payload);
  }
}

/// One change: what place (2 bytes), how (1), with checksums or not (1), value (8).
void change(Memory& media, Input& input) {
  const std::vector<Place>& places = original().places;
  const Place place = places[input.take<uint16_t>() % places.size()];
  const u8 how = input.take<u8>(), sealed = input.take<u8>();
  const u64 value = input.take<u64>();
  u64* word = at_place<u64>(media, place);
  const Phys base = original().pool.sb.base;
  switch (how % 10) {
    case 0:
      *word = value;
      break;
    case 1:
      *word ^= 1UL << value % 64;
      break;
    case 2:
      *word = *at_place<u64>(media, places[value % places.size()]);
      break;
    case 3:
      *word = value % (frames + 2);
      break;
    case 4: {
      const Format format = media_format();
      const u64 flags[] = {format.leaf[0], format.leaf[1], format.table, 1, 2, 3, 0};
      *word = (base + value % (frames + 1) * frame_bytes) | flags[(value >> 32) % 7];
      break;
    }
    case 5:
      *word += value % 512 - 256;
      break;
    case 6:
      reinterpret_cast<u8*>(word)[value % 8] = static_cast<u8>(value >> 8);
      break;
    case 7:
      *word = places[value % places.size()];
      break;
    case 8: {  // a name for example, with what it leads to or without
      const Place from = places[value % places.size()];
      const u64 end = std::max(place % frame_bytes, from % frame_bytes) + sizeof(Name);
      if (end <= frame_bytes)
        std::memmove(word, at_place<u64>(media, from), sizeof(Name) - from % 16);
      break;
    }
    case 9:
      std::memmove(media.at(place / frame_bytes), media.at(value % frames), frame_bytes);
      break;
  }
  if (sealed % 4 != 0) seal(media, place);
}

/// What a processor would reach through the twins of files that are told to be sound.
class Reach {
 public:
  Reach(Memory& media, const Seen& seen, const Superblock& sb, bool both)
      : media_(media), seen_(seen), sb_(sb), taken_(sb.frames) {
    for (const auto& [frame, object] : seen.objects) {
      if (!object.sound || object.type != type_regular) continue;
      const Inode* inode = in_frame<Inode>(media, frame);
      // What may not be written to is only read.
      std::map<Index, Frame> pages[2];
      for (unsigned twin = both ? 0 : 1; twin < 2; twin++) {
        const u64 root = inode->roots[twin];
        if (root != 0) table(root, root & root_level_mask, twin, 0, pages[twin]);
      }
      if (both && pages[0] != pages[1]) die("twins that differ in file", frame);
      for (const auto& [index, page] : pages[1]) take(page);
    }
  }

 private:
  Frame frame_at(u64 address) {
    address &= media_format().pfn_mask;
    if (address < sb_.base || address - sb_.base >= sb_.frames * frame_bytes)
      die("an address outside the pool", address);
    const Frame frame = (address - sb_.base) / frame_bytes;
    if (frame < first_free_frame) die("a frame that no file has", frame);
    if (!seen_.used.is_used(frame)) die("a frame that was not claimed", frame);
    return frame;
  }
  void take(Frame frame) {
    if (taken_[frame]) die("a frame twice", frame);
    taken_[frame] = true;
  }
  void table(u64 address, u64 level, unsigned twin, Index first, std::map<Index, Frame>& pages) {
    if (level < 1 || level > 4) die("a table of no level", level);
    const Frame frame = frame_at(address);
    take(frame);
    const Format format = media_format();
    const u64* entry = in_frame<u64>(media_, frame);
    for (u64 slot = 0; slot < entries_per_table; slot++) {
      if (entry[slot] == 0) continue;
      const u64 flags = entry[slot] & ~format.pfn_mask;
      const u64 loose = format.accessed | (twin == 0 || level > 1 ? format.dirty : 0) |
                        (twin == 0 && level == 1 ? media_soft_dirty : 0);
      if (((flags ^ (level == 1 ? format.leaf[twin] : format.table)) & ~loose) != 0)
        die("flags that no entry has", entry[slot]);
      const Index index = first + (slot << (9 * (level - 1)));
      if (level == 1)
        pages[index] = frame_at(entry[slot]);
      else
        table(entry[slot], level - 1, twin, index, pages);
    }
  }

  Memory& media_;
  const Seen& seen_;
  const Superblock& sb_;
  std::vector<bool> taken_;
};

void check_names(const Seen& seen) {
  for (const auto& [directory, names] : seen.names)
    for (const auto& [name, link] : names) {
      if (!is_name(reinterpret_cast<const u8*>(name.data()), name.size()))
        die("a name that is none in", directory);
      if (!seen.objects.contains(link.inode)) die("a name of nothing", link.inode);
      if (!seen.used.is_used(link.inode)) die("an inode that was not claimed", link.inode);
    }
}

std::set<std::pair<int, Place>> damage_in(const Seen& seen) {
  std::set<std::pair<int, Place>> damage;
  for (const Finding& finding : seen.findings)
    if (is_damage(finding.kind)) damage.emplace(int(finding.kind), finding.place);
  return damage;
}

/// A mount. False if it is refused.
struct Mount {
  Superblock sb{};
  Seen seen{frames};
  Status status;

  Mount(Memory& media, Mending mending, Phys move) {
    unsigned whole = 0;
    const Result<Superblock> read = read_superblock(media, whole);
    if (!read.ok()) {
      status = read.error();
      return;
    }
    sb = read.value();
    seen = Seen(sb.frames);
    Pruned pruned{media, sb.frames};
    Recovery done{};
    const Phys base = sb.base + move <= media_format().pfn_mask - sb.frames * frame_bytes
                          ? sb.base + move
                          : sb.base;
    status = recover(pruned, seen, sb, base, mending, done);
    if (!status.ok()) return;
    (void)Reach(media, seen, sb, mending != Mending::none);
    check_names(seen);
  }
  bool is_clean() const { return status.ok() && seen.findings.empty(); }

 private:
  /// A medium of which only the first frames are there.
  struct Pruned {
    Memory& media;
    u64 count;
    u64 frames() const { return count; }
    void* at(Frame frame) {
      if (frame >= count) die("a frame beyond the pool", frame);
      return media.at(frame);
    }
    void store(u64* word, u64 value) { media.store(word, value); }
    void write(void* to, const void* from, u64 bytes) { media.write(to, from, bytes); }
    void zero(void* to, u64 bytes) { media.zero(to, bytes); }
    void note(u64* word, u64 value) { media.note(word, value); }
    void flush(Site site, const void* from, u64 bytes) { media.flush(site, from, bytes); }
    void fence(Site site) { media.fence(site); }
  };
};

/// A copy to try things with, one at a time.
Memory& scratch(const Memory& of) {
  static Memory media(frames);
  media = of;
  return media;
}

void look(const Memory& changed) {
  Memory& media = scratch(changed);
  (void)Mount(media, Mending::none, 0);
  if (!(media == changed)) die("a look has written", 0);
}

void mend(const Memory& changed, Phys move) {
  Memory& media = scratch(changed);
  const Mount first(media, Mending::leftovers, move);
  const Mount second(media, Mending::leftovers, 0);
  if (first.status.ok() && !first.seen.damaged() && !Mount(media, Mending::none, 0).is_clean())
    die("leftovers that were not mended", first.seen.findings.size());
  if (first.status.ok() && damage_in(first.seen) != damage_in(second.seen))
    die("mending leftovers has changed the damage", first.seen.findings.size());
}

void repair(const Memory& changed, Phys move) {
  Memory& media = scratch(changed);
  unsigned whole = 0;
  if (!read_superblock(media, whole).ok()) return;
  const Mount first(media, Mending::damage, move);
  if (!first.status.ok()) die("a pool that can't be repaired", u64(first.status.error()));
  const Mount second(media, Mending::none, 0);
  for (const Finding& finding : second.seen.findings)
    std::fprintf(stderr, "left: kind %d at %#lx: %#lx\n", int(finding.kind), finding.place,
                 finding.value);
  if (!second.is_clean()) die("a repair has left something", second.seen.findings.size());
  for (const auto& [frame, object] : second.seen.objects)
    if (!object.sound) die("a repaired inode is not sound", frame);
}

}  // namespace
}  // namespace morsel::core::pool::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace morsel::core::pool::test;
  namespace pool = morsel::core::pool;
  Input input(data, size);
  const morsel::core::Phys move = input.take<uint8_t>() % 4 == 0 ? 0x5000 : 0;
  const auto power = input.take<uint8_t>();  // 0: it lasts
  static Memory media(frames);
  media = original().pool.media;
  for (int changes = 0; changes < 16 && !input.empty(); changes++) change(media, input);
  if (power != 0) {
    media.cut_after(power);
    try {
      const Mount cut(media, power % 2 == 0 ? pool::Mending::leftovers : pool::Mending::damage,
                      0x9000);
    } catch (const PowerCut&) {
    }
    media.cut_after(~0UL);
  }
  look(media);
  mend(media, move);
  repair(media, move);
  return 0;
}
