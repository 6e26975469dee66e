// SPDX-License-Identifier: MIT
//
// A pool as it lies on its device, while nobody has it mounted: made, looked into and spoiled
// through core's own headers.
#ifndef MORSELS_TESTS_POOL_IMAGE_H
#define MORSELS_TESTS_POOL_IMAGE_H

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cstdlib>
#include <string>

#include "../../core/pool/make.h"
#include "../../core/pool/names.h"

namespace pool_image {

using namespace morsel::core;
using namespace morsel::core::pool;
using morsel::core::pool::Place;

// The device, mapped through its page cache, as a medium.
class Image {
 public:
  explicit Image(const std::string& path) {
    fd_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
    unsigned long bytes = 0;
    if (fd_ < 0 || ioctl(fd_, BLKGETSIZE64, &bytes) != 0) stop("open", path);
    frames_ = bytes / frame_bytes;
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (at == MAP_FAILED) stop("mmap", path);
    memory_ = static_cast<u8*>(at);
  }
  ~Image() {
    if (msync(memory_, frames_ * frame_bytes, MS_SYNC) != 0 || fsync(fd_) != 0)
      stop("sync", "image");
    munmap(memory_, frames_ * frame_bytes);
    close(fd_);
  }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  u64 frames() const { return frames_; }
  void* at(Frame frame) const { return memory_ + frame * frame_bytes; }
  void store(u64* word, u64 value) { *word = value; }
  void write(void* to, const void* from, u64 n) { memcpy(to, from, n); }
  void zero(void* to, u64 n) { memset(to, 0, n); }
  void note(u64* word, u64 value) { *word = value; }
  void flush(Site, const void*, u64) {}
  void fence(Site) {}

  void make(unsigned mode = 01777) {
    Superblock sb{};
    sb.frames = frames_;
    FILE* random = fopen("/proc/sys/kernel/random/uuid", "r");
    for (u8& byte : sb.uuid) byte = static_cast<u8>(random ? fgetc(random) : 0);
    if (random) fclose(random);
    NewInode root{};
    root.attributes.mode = mode;
    make_pool(*this, sb, root);
  }

  Superblock* superblock() {
    auto* first = in_frame<Superblock>(*this, 0);
    auto* second = in_frame<Superblock>(*this, 1);
    return first->generation > second->generation ? first : second;
  }
  Inode* inode(Frame frame) { return in_frame<Inode>(*this, frame); }

  // The slot of a name in a directory, or nullptr.
  Name* name(const char* text, Frame directory = root_inode_frame) {
    Name* found = nullptr;
    each_name(*this, directory, [&](Place place, const Name& name) {
      if (name.length == strlen(text) && memcmp(name.bytes, text, name.length) == 0)
        found = at_place<Name>(*this, place);
      return found == nullptr;
    });
    if (found == nullptr) stop("no such name", text);
    return found;
  }
  Inode* inode_called(const char* text) { return inode(name(text)->target); }
  Place place_of(const void* at) {
    return static_cast<Place>(static_cast<const u8*>(at) - memory_);
  }

  Frame frame_of(u64 entry) {
    return ((entry & media_format().pfn_mask) - superblock()->base) / frame_bytes;
  }
  u64 entry_for(Frame frame, u64 flags) { return superblock()->base + frame * frame_bytes + flags; }

  // The entry of a page, at a level of the tree.
  u64* entry(Inode* inode, Twin twin, Index index, Level wanted = Level::pte) {
    const u64 root = inode->roots[unsigned(twin)];
    auto level = static_cast<Level>(root & root_level_mask);
    u64* table = in_frame<u64>(*this, frame_of(root));
    while (level > wanted) {
      table = in_frame<u64>(*this, frame_of(table[slot_of(index, level)]));
      level = below(level);
    }
    return &table[slot_of(index, wanted)];
  }

  static void sign(Inode* inode) {
    inode->header.crc = crc_of(inode->header);
    for (Attributes& slot : inode->attributes)
      if (slot.sequence != 0) slot.crc = crc_of(slot);
  }
  void sign(Name* name) { name->crc = name_crc(place_of(name), *name); }
  static void sign(Superblock* sb) { sb->crc = crc_of(*sb); }

 private:
  [[noreturn]] static void stop(const char* what, const std::string& which) {
    fprintf(stderr, "pool image: %s: %s: %s\n", which.c_str(), what, strerror(errno));
    exit(3);
  }

  int fd_ = -1;
  u64 frames_ = 0;
  u8* memory_ = nullptr;
};

}  // namespace pool_image

#endif
