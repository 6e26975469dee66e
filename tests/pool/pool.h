// SPDX-License-Identifier: MIT
//
// A pool in memory, mounted: what a file system would do with core/pool, in the fewest words.
#pragma once

#include <string>
#include <utility>

#include "core/pool/file.h"
#include "core/pool/make.h"
#include "seen.h"

namespace morsel::core::pool::test {

inline void must(Status status) {
  if (!status.ok()) die("an error", u64(status.error()));
}
template <class T>
T must(const Result<T>& result) {
  if (!result.ok()) die("an error", u64(result.error()));
  return result.value();
}

inline constexpr Phys first_base = 0x140000000;

class Pool {
 public:
  using FileTree = Tree<TreeHost<Memory, FrameMap>>;

  explicit Pool(u64 frames = 512, Phys base = first_base) : media(frames), seen(frames) {
    sb.frames = frames;
    sb.base = base;
    __builtin_memcpy(sb.label, "test", 4);
    NewInode root{};
    root.attributes.mode = 0755;
    make_pool(media, sb, root);
    must(mount());
  }

  /// Reads everything from the medium again. `seen` tells what there is.
  Status mount(Mending mending = Mending::leftovers, Phys base = 0) {
    unsigned whole = 0;
    const Result<Superblock> read = read_superblock(media, whole);
    if (!read.ok()) return read.error();
    sb = read.value();
    std::set<Frame> unreadable = std::move(seen.unreadable);
    seen = Seen(sb.frames);
    seen.unreadable = std::move(unreadable);
    return recover(media, seen, sb, base == 0 ? sb.base : base, mending, recovery);
  }

  Inode* inode(Frame frame) { return in_frame<Inode>(media, frame); }
  FrameMap& frames() { return seen.used; }
  Directory& directory(Frame frame) {
    const auto found = seen.directories.find(frame);
    if (found == seen.directories.end()) die("no directory", frame);
    return found->second;
  }

  /// Makes an inode and its first name.
  Frame create(Frame in, const std::string& name, u32 type = type_regular, u32 minor = 0) {
    const Frame frame = must(frames().get());
    NewInode made{};
    made.header.type = type;
    made.header.rdev_minor = minor;
    made.attributes.mode = 0644;
    make_inode(media, frame, made);
    link(in, name, frame);
    if (type == type_directory) seen.directories.emplace(frame, Directory{frame, 0, 0});
    return frame;
  }
  Frame symlink(Frame in, const std::string& name, const std::string& target) {
    const Frame frame = must(frames().get()), text = must(frames().get());
    NewInode made{};
    made.header.type = type_link;
    made.attributes.size = target.size();
    make_link(media, text, target.data(), target.size(), made.header);
    make_inode(media, frame, made, text);
    link(in, name, frame);
    return frame;
  }
  void link(Frame in, const std::string& name, Frame target) {
    const Place place =
        must(prepare_name(media, frames(), directory(in), name.data(), name.size()));
    publish_name(media, place, target);
    seen.names[in][name] = {target, place};
  }
  /// Only the name: frames come back with the next mount.
  void unlink(Frame in, const std::string& name) {
    clear_name(media, directory(in), place(in, name));
    seen.names[in].erase(name);
  }
  Place place(Frame in, const std::string& name) { return seen.names.at(in).at(name).place; }
  Frame look_up(Frame in, const std::string& name) {
    const auto& names = seen.names[in];
    const auto found = names.find(name);
    return found == names.end() ? 0 : found->second.inode;
  }
  Name* name_at(Place place) { return at_place<Name>(media, place); }

  FileTree tree(Frame file) {
    return FileTree(TreeHost<Memory, FrameMap>(media, frames(), sb.base),
                    *reinterpret_cast<Roots*>(inode(file)->roots));
  }
  Attributes attributes(Frame of) { return must(read_attributes(*inode(of))); }
  void set_size(Frame file, u64 size) {
    Attributes next = attributes(file);
    next.size = size;
    write_attributes(media, inode(file), next);
  }
  /// Fills a page with a byte; the file grows to hold it.
  void write(Frame file, Index index, u8 byte) {
    FileTree into = tree(file);
    must(fill_hole(media, frames(), into, sb.base, index,
                   [&](void* frame) { std::memset(frame, byte, frame_bytes); }));
    if (attributes(file).size < (index + 1) * frame_bytes)
      set_size(file, (index + 1) * frame_bytes);
  }
  /// The frame of a page, 0 for none.
  Frame page(Frame file, Index index, Twin twin = Twin::ro) {
    Leaf leaf{};
    return tree(file).lookup(twin, index, leaf) ? leaf.pfn - sb.base / frame_bytes : 0;
  }
  /// First byte of a page, -1 for a hole.
  int read(Frame file, Index index) {
    const Frame frame = page(file, index);
    return frame == 0 ? -1 : *in_frame<u8>(media, frame);
  }
  /// The entry at the end of the path to a page, in a file of at most 2 MiB.
  u64* entry(Frame file, Index index, Twin twin) {
    const u64 root = inode(file)->roots[unsigned(twin)];
    if ((root & root_level_mask) != 1) die("not a file with one table", root);
    const Frame table = ((root & media_format().pfn_mask) - sb.base) / frame_bytes;
    return in_frame<u64>(media, table) + index;
  }
  Status set_xattrs(Frame of, const std::string& bytes) {
    return replace_payload(media, frames(), &inode(of)->xattrs, bytes.data(), bytes.size());
  }

  Memory media;
  Seen seen;
  Superblock sb{};
  Recovery recovery{};
  Log log;
};

/// An attribute as it lies in a payload.
inline std::string xattr(const std::string& name, const std::string& value) {
  const auto half = [](size_t n) {
    return std::string{static_cast<char>(n & 255), static_cast<char>(n >> 8)};
  };
  return half(name.size()) + half(value.size()) + name + value;
}

/// What sample() has made.
struct Sample {
  Frame file, tall, sparse, empty, twice, folder, deep, inner, link, fifo, device;
};

/// One of everything. `tall` has more than 2 MiB.
inline Sample sample(Pool& pool) {
  const Frame root = root_inode_frame;
  Sample made{};
  made.file = pool.create(root, "file");
  for (Index i = 0; i < 5; i++) pool.write(made.file, i, u8(1 + i));
  pool.set_size(made.file, 4 * frame_bytes + 100);
  made.tall = pool.create(root, "tall");
  pool.write(made.tall, 0, 10);
  pool.write(made.tall, 700, 11);
  made.sparse = pool.create(root, "sparse");
  pool.write(made.sparse, 17, 12);
  pool.set_size(made.sparse, 1UL << 40);
  made.empty = pool.create(root, "empty");
  made.folder = pool.create(root, "folder", type_directory);
  made.deep = pool.create(made.folder, "deep", type_directory);
  made.inner = pool.create(made.deep, "inner");
  pool.write(made.inner, 3, 13);
  made.twice = pool.create(root, "twice");
  pool.link(made.folder, "again", made.twice);
  made.link = pool.symlink(made.folder, "link", "../file");
  made.fifo = pool.create(root, "fifo", type_fifo);
  made.device = pool.create(root, "device", type_char, 3);
  must(pool.set_xattrs(made.file, xattr("user.colour", "blue") + xattr("user.empty", "")));
  must(pool.set_xattrs(made.folder, xattr("user.colour", "red")));
  for (int i = 0; i < 20; i++) pool.create(made.deep, "name" + std::to_string(i), type_socket);
  return made;
}

}  // namespace morsel::core::pool::test
