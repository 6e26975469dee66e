// SPDX-License-Identifier: GPL-2.0
// core/pool, instantiated for the kernel, behind C doors. No kernel header is included.
#include "../core/frames.h"
#include "../core/pool/recover.h"

#include "pool_api.h"

using namespace morsel::core;
using namespace morsel::core::pool;

static_assert(sizeof(morsel_attributes) == sizeof(Attributes));
static_assert(__builtin_offsetof(morsel_attributes, change) ==
              __builtin_offsetof(Attributes, change));
static_assert(sizeof(morsel_directory) == sizeof(Directory));

namespace {

constexpr int enomem = -12, eexist = -17, einval = -22, enospc = -28, efbig = -27, euclean = -117;

int errno_of(Status status) {
  switch (status.error()) {
    case Error::none:
      return 0;
    case Error::no_memory:
      return enomem;
    case Error::occupied:
      return eexist;
    case Error::no_space:
    case Error::too_large:
      return enospc;
    case Error::not_a_pool:
    case Error::unsupported:
      return einval;
    case Error::damaged:
      return euclean;
  }
  return efbig;
}

/// Persistent memory in the kernel's direct map.
class KernelMedia {
 public:
  KernelMedia() = default;
  KernelMedia(void* memory, u64 frames) : memory_(static_cast<u8*>(memory)), frames_(frames) {}

  u64 frames() const { return frames_; }
  void* at(Frame frame) const { return memory_ + frame * frame_bytes; }
  void store(u64* word, u64 value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
  void write(void* to, const void* from, u64 n) { __builtin_memcpy(to, from, n); }
  void zero(void* to, u64 n) { __builtin_memset(to, 0, n); }
  void note(u64* word, u64 value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }
  void flush(Site, const void* from, u64 n) { morsel_media_flush(from, n); }
  void fence(Site) { asm volatile("sfence" ::: "memory"); }

 private:
  u8* memory_ = nullptr;
  u64 frames_ = 0;
};
static_assert(Media<KernelMedia>);

/// What core needs frames for; what users may still hold of a frame, the C side knows.
class KernelFrames {
 public:
  explicit KernelFrames(morsel_pool* pool) : pool_(pool) {}
  Result<Frame> get() {
    const Frame frame = morsel_pool_get_frame(pool_);
    if (frame == 0) return Error::no_space;
    return frame;
  }
  void put(Frame frame) { morsel_pool_put_frame(pool_, frame); }

 private:
  morsel_pool* pool_;
};
static_assert(Frames<KernelFrames>);

}  // namespace

struct morsel_core {
  morsel_pool* pool;
  KernelMedia media;
  Phys base;
  Superblock superblock;
  Log log;
  unsigned slots;
  BasicFrameAllocator<> frames;
};

namespace {

/// The allocator's room, behind the structure.
void* storage_of(morsel_core& core) {
  return reinterpret_cast<u8*>(&core) + (sizeof(core) + line_bytes - 1) / line_bytes * line_bytes;
}

const char* text_of(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::half_leaf:
      return "a leaf in one twin only";
    case Finding::Kind::beyond_end:
      return "a leaf beyond the end of its file";
    case Finding::Kind::flags_set:
      return "changed flags of an entry";
    case Finding::Kind::bad_root:
      return "a bad root";
    case Finding::Kind::bad_entry:
      return "a bad page-table entry";
    case Finding::Kind::bad_leaf:
      return "a bad leaf, with a sound one in the other twin";
    case Finding::Kind::frame_twice:
      return "a frame that something else has already";
    case Finding::Kind::twins_differ:
      return "a page that is two frames";
    case Finding::Kind::bad_inode:
      return "a name of something that is no inode";
    case Finding::Kind::bad_attributes:
      return "bad attributes";
    case Finding::Kind::bad_word:
      return "what this type of inode has not";
    case Finding::Kind::bad_link:
      return "a bad symbolic link";
    case Finding::Kind::bad_xattrs:
      return "bad extended attributes";
    case Finding::Kind::bad_names:
      return "a frame that holds no names";
    case Finding::Kind::bad_name:
      return "a bad name";
    case Finding::Kind::name_twice:
      return "a name that is there twice";
    case Finding::Kind::directory_twice:
      return "a second name of a directory";
  }
  return "something unknown";
}

/// The walk of a mount.
class MountWalker {
 public:
  MountWalker(morsel_core& core, u64* marks, morsel_opening& opening)
      : core_(core), marks_(marks), opening_(opening) {}
  ~MountWalker() { morsel_pool_free_memory(stack_); }
  MountWalker(const MountWalker&) = delete;
  MountWalker& operator=(const MountWalker&) = delete;

  void restart() {
    core_.frames.init(storage_of(core_), core_.media.frames(), core_.slots);
    __builtin_memset(marks_, 0, (core_.media.frames() + 63) / 64 * sizeof(u64));
    depth_ = 0;
    opening_.damaged = 0;
    morsel_pool_restart(core_.pool);
  }
  bool claim(Frame frame) {
    if (!core_.frames.claim(frame)) return false;
    morsel_pool_claimed(core_.pool, frame);
    return true;
  }
  void mark(Frame frame) { marks_[frame / 64] |= 1UL << (frame % 64); }
  bool is_marked(Frame frame) { return (marks_[frame / 64] >> (frame % 64) & 1) != 0; }

  bool push(Frame directory) {
    if (depth_ == room_) {
      const u64 room = room_ == 0 ? 512 : 2 * room_;
      auto* stack = static_cast<Frame*>(morsel_pool_get_memory(core_.pool, room * sizeof(Frame)));
      if (stack == nullptr) return false;
      if (stack_ != nullptr) __builtin_memcpy(stack, stack_, depth_ * sizeof(Frame));
      morsel_pool_free_memory(stack_);
      stack_ = stack;
      room_ = room;
    }
    stack_[depth_++] = directory;
    return true;
  }
  bool pop(Frame& directory) {
    if (depth_ == 0) return false;
    directory = stack_[--depth_];
    return true;
  }

  Status name(Frame directory, Place place, const Name& name, const Object& object, bool first) {
    morsel_found found{};
    describe(object, found);
    const int err =
        morsel_pool_name(core_.pool, directory, place, name.bytes, name.length, &found, first);
    if (err == eexist) return Error::occupied;
    return err == 0 ? Status{} : Status{Error::no_memory};
  }
  void directory(const Directory& known) {
    morsel_pool_directory(core_.pool, reinterpret_cast<const morsel_directory*>(&known));
  }
  void found(const Finding& finding) {
    if (is_damage(finding.kind))
      opening_.damaged++;
    else
      opening_.mended++;
    morsel_pool_tell(core_.pool, is_damage(finding.kind), text_of(finding.kind), finding.inode,
                     finding.place, finding.value);
  }
  bool readable(Frame frame) { return morsel_pool_is_readable(core_.pool, frame); }
  void pace() { morsel_pool_pace(core_.pool); }

  void describe(const Object& object, morsel_found& found) const {
    const Inode& inode = *in_frame<Inode>(core_.media, object.inode);
    const InodeHeader& header = inode.header;
    found.frame = object.inode;
    found.sound = object.sound;
    found.leaves = object.leaves;
    found.tables = object.tables;
    found.birth = {header.type,
                   header.rdev_major,
                   header.rdev_minor,
                   {header.birth.seconds, header.birth.nanoseconds}};
    const Result<Attributes> attributes = read_attributes(inode);
    if (attributes.ok())
      __builtin_memcpy(&found.attributes, &attributes.value(), sizeof(found.attributes));
    if (!object.sound) return;
    if (header.type == type_link) found.link = in_frame<char>(core_.media, inode.link);
    // Of the root directory the walk does not say whether it is sound.
    if (inode.xattrs != 0 && morsel_pool_is_readable(core_.pool, inode.xattrs) &&
        is_whole_payload(core_.media, inode.xattrs)) {
      const Payload* payload = in_frame<Payload>(core_.media, inode.xattrs);
      found.xattrs = payload->data;
      found.xattr_bytes = payload->bytes;
    }
  }

 private:
  morsel_core& core_;
  u64* marks_;
  morsel_opening& opening_;
  Frame* stack_ = nullptr;
  u64 depth_ = 0, room_ = 0;
};
static_assert(Walker<MountWalker>);

Inode* inode_at(morsel_core* core, Frame frame) { return in_frame<Inode>(core->media, frame); }

Directory& directory_of(morsel_directory* directory) {
  return *reinterpret_cast<Directory*>(directory);
}

}  // namespace

extern "C" {

unsigned long morsel_core_bytes(unsigned long frames, unsigned int cpus) {
  return sizeof(morsel_core) + line_bytes + BasicFrameAllocator<>::storage_bytes(frames, cpus);
}

void morsel_core_init(morsel_core* core, morsel_pool* pool, void* memory, unsigned long base,
                      unsigned long frames, unsigned int cpus) {
  core->pool = pool;
  core->media = KernelMedia(memory, frames);
  core->base = base;
  core->log = {};
  core->slots = cpus;
  core->frames.init(storage_of(*core), frames, cpus);
}

unsigned long morsel_core_frames(void* memory, unsigned long frames, const char** why) {
  KernelMedia media(memory, frames);
  unsigned whole = 0;
  *why = "it is too small for a pool";
  if (frames < least_frames) return 0;
  const Result<Superblock> superblock = read_superblock(media, whole);
  switch (superblock.error()) {
    case Error::none:
      return superblock.value().frames;
    case Error::not_a_pool:
      *why = "there is no pool on it: make one with mkfs.morselfs";
      break;
    case Error::unsupported:
      *why = "its pool is of a later version than this module";
      break;
    default:
      *why = "the pool's superblock is damaged: look at it with fsck.morselfs";
      break;
  }
  return 0;
}

int morsel_core_open(morsel_core* core, morsel_opening* opening) {
  unsigned whole = 0;
  const Result<Superblock> superblock = read_superblock(core->media, whole);
  if (!superblock.ok()) return errno_of(superblock.error());
  core->superblock = superblock.value();
  opening->was_clean = core->superblock.clean != 0;
  opening->pending = Log::pending(core->media);
  opening->must_read_only = core->superblock.ro_compat != 0;
  if (opening->must_read_only) opening->may_write = false;
  __builtin_memcpy(opening->uuid, core->superblock.uuid, sizeof(opening->uuid));

  auto* marks = static_cast<u64*>(
      morsel_pool_get_memory(core->pool, (core->media.frames() + 63) / 64 * sizeof(u64)));
  if (marks == nullptr) return enomem;
  Status status;
  {
    MountWalker walker(*core, marks, *opening);
    Recovery done{};
    status = recover(core->media, walker, core->superblock, core->base,
                     opening->may_write ? Mending::leftovers : Mending::none, done);
    opening->replayed = done.replayed;
    opening->moved = done.moved;
  }
  morsel_pool_free_memory(marks);
  if (status.error() == Error::unsupported)
    opening->why =
        "the pool was made at another physical address, and moves only where it may be written";
  else if (status.error() == Error::damaged)
    opening->why = "the pool is damaged: repair it with fsck.morselfs";
  return errno_of(status);
}

void morsel_core_describe_root(morsel_core* core, morsel_found* found) {
  morsel_opening nothing{};
  MountWalker walker(*core, nullptr, nothing);
  walker.describe({root_inode_frame, type_directory, true, 0, 0}, *found);
}

void morsel_core_set_clean(morsel_core* core, bool clean) {
  if ((core->superblock.clean != 0) == clean) return;
  core->superblock.clean = clean ? 1 : 0;
  core->media.fence(Site::superblock);  // all that it tells of
  write_superblock(core->media, core->superblock);
}

unsigned long morsel_core_get_frame(morsel_core* core, unsigned int cpu) {
  const Result<u64> got = core->frames.get(Level::pte, cpu);
  return got.ok() ? got.value() : 0;
}
bool morsel_core_put_frame(morsel_core* core, unsigned long frame) {
  return core->frames.put(frame, Level::pte);
}
unsigned long morsel_core_free_frames(morsel_core* core) { return core->frames.free_frames(); }

int morsel_core_make_inode(morsel_core* core, const morsel_birth* birth,
                           morsel_attributes* attributes, const char* link, unsigned long* frame) {
  KernelFrames frames(core->pool);
  const Result<Frame> inode = frames.get();
  if (!inode.ok()) return errno_of(inode.error());
  NewInode made{};
  made.header.type = birth->type;
  made.header.rdev_major = birth->rdev_major;
  made.header.rdev_minor = birth->rdev_minor;
  made.header.birth = {birth->time.seconds, birth->time.nanoseconds};
  __builtin_memcpy(&made.attributes, attributes, sizeof(made.attributes));
  Frame target = 0;
  if (link != nullptr) {
    const Result<Frame> got = frames.get();
    if (!got.ok()) {
      frames.put(inode.value());
      return errno_of(got.error());
    }
    target = got.value();
    make_link(core->media, target, link, attributes->size, made.header);
  }
  make_inode(core->media, inode.value(), made, target);
  __builtin_memcpy(attributes, &made.attributes, sizeof(*attributes));
  *frame = inode.value();
  return 0;
}

void morsel_core_free_inode(morsel_core* core, unsigned long frame) {
  KernelFrames frames(core->pool);
  const Inode inode = *inode_at(core, frame);
  if (inode.link != 0) frames.put(inode.link);
  if (inode.xattrs != 0) frames.put(inode.xattrs);
  for (Frame at = inode.names; at != 0;) {
    const Frame next = in_frame<NamesFrame>(core->media, at)->next;
    frames.put(at);
    at = next;
  }
  frames.put(frame);
}

void morsel_core_write_attributes(morsel_core* core, unsigned long frame, morsel_attributes* next) {
  write_attributes(core->media, inode_at(core, frame), *reinterpret_cast<Attributes*>(next));
}

int morsel_core_write_xattrs(morsel_core* core, unsigned long frame, const void* data,
                             unsigned long bytes) {
  KernelFrames frames(core->pool);
  return errno_of(
      replace_payload(core->media, frames, &inode_at(core, frame)->xattrs, data, bytes));
}

unsigned long morsel_core_xattr_limit(void) { return sizeof(Payload::data); }

unsigned long* morsel_core_roots(morsel_core* core, unsigned long frame) {
  return inode_at(core, frame)->roots;
}

int morsel_core_prepare_name(morsel_core* core, morsel_directory* directory, const char* name,
                             unsigned int length, unsigned long* place) {
  KernelFrames frames(core->pool);
  const Result<Place> got =
      prepare_name(core->media, frames, directory_of(directory), name, length);
  if (got.ok()) *place = got.value();
  return errno_of(got.error());
}

int morsel_core_add_name(morsel_core* core, morsel_directory* directory, const char* name,
                         unsigned int length, unsigned long target, unsigned long* place) {
  const int err = morsel_core_prepare_name(core, directory, name, length, place);
  if (err == 0) publish_name(core->media, *place, target);
  return err;
}

void morsel_core_clear_name(morsel_core* core, morsel_directory* directory, unsigned long place) {
  clear_name(core->media, directory_of(directory), place);
}

void morsel_core_free_name(morsel_core* core, morsel_directory* directory, unsigned long place) {
  note_free_name(core->media, directory_of(directory), place);
}

bool morsel_core_move(morsel_core* core, unsigned long first_place, unsigned long first_target,
                      unsigned long second_place, unsigned long second_target) {
  const LogChange change[2] = {{first_place, first_target}, {second_place, second_target}};
  return core->log.commit(core->media, change, 2);
}

bool morsel_core_each_xattr(const unsigned char* data, unsigned long bytes,
                            morsel_xattr_visit visit, void* context) {
  bool fine = true;
  each_xattr(data, bytes, [&](const u8* name, u64 name_bytes, const u8* value, u64 value_bytes) {
    fine = visit(context, reinterpret_cast<const char*>(name), name_bytes, value, value_bytes);
    return fine;
  });
  return fine;
}

}  // extern "C"
