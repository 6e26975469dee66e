/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// The walk over all of a pool: from the root directory to every name, inode and table. It is the
// mount (which frames are free, which names there are), the check of what may be hostile, and the
// repair. Cost: one look at each inode, name and table; data is not read.
#pragma once

#include "check_tree.h"
#include "xattrs.h"

namespace morsel::core::pool {

/// Greatest size of a file: what a tree can hold, and a file offset.
inline constexpr u64 size_limit = 1UL << 47;

template <Media M, Walker V>
class Check {
 public:
  Check(M& media, V& walker, const Form& form, Mending mending, bool announce)
      : media_(media), walker_(walker), form_(form), mending_(mending), announce_(announce) {}

  /// Walks everything. Error::no_memory if the walker has none; Error::damaged if the root
  /// directory itself is not whole and is not to be repaired. All else is told by found(). What was
  /// mended is durable when it returns.
  Status run() {
    walker_.restart();
    for (Frame frame = 0; frame < first_free_frame; frame++) (void)walker_.claim(frame);
    Status status = enter_root();
    Frame directory = 0;
    while (status.ok() && walker_.pop(directory)) status = walk_directory(directory);
    if (wrote_) media_.fence(Site::mended);
    return status;
  }

 private:
  Inode* inode_at(Frame frame) { return in_frame<Inode>(media_, frame); }

  Place place_of(const void* word) {
    return static_cast<Place>(static_cast<const u8*>(word) - static_cast<u8*>(media_.at(0)));
  }

  void found(Finding::Kind kind, Frame inode, const u64* word) {
    walker_.found({kind, inode, place_of(word), *word});
  }

  /// Reports damage; a repair gives the word another value. True if that was done.
  bool repair(Finding::Kind kind, Frame inode, u64* word, u64 value = 0) {
    found(kind, inode, word);
    if (mending_ != Mending::damage) return false;
    media_.store(word, value);
    media_.flush(Site::name_mended, word, sizeof(*word));
    wrote_ = true;
    return true;
  }

  Status enter_root() {
    Inode* root = inode_at(root_inode_frame);
    if (!is_whole(root->header, root_inode_frame) || root->header.type != type_directory) {
      found(Finding::Kind::bad_inode, root_inode_frame, &root->header.number);
      if (mending_ != Mending::damage) return Error::damaged;
      NewInode made{};
      made.header.type = type_directory;
      made.attributes.mode = 0700;
      const Frame names = root->names;
      make_inode(media_, root_inode_frame, made);
      media_.store(&root->names, names);  // whatever it is worth
      media_.flush(Site::name_mended, &root->names, sizeof(names));
      wrote_ = true;
    }
    Object object{};
    walker_.mark(root_inode_frame);
    check_inode(root_inode_frame, object);
    return walker_.push(root_inode_frame) ? Status{} : Status{Error::no_memory};
  }

  Status walk_directory(Frame directory) {
    Directory known{directory, 0, 0};
    Frame* link = &inode_at(directory)->names;
    while (*link != 0) {
      const Frame frame = *link;
      if (!is_usable(frame, media_.frames()) || !is_readable(walker_, frame) ||
          in_frame<NamesFrame>(media_, frame)->magic != names_magic || !walker_.claim(frame)) {
        repair(Finding::Kind::bad_names, directory, link);
        break;
      }
      walker_.pace();
      known.last = frame;
      NamesFrame* names = in_frame<NamesFrame>(media_, frame);
      for (unsigned slot = 0; slot < names_per_frame; slot++) {
        Name& name = names->name[slot];
        if (name.target != 0) {
          const Status status = check_name(directory, name_place(frame, slot), name);
          if (!status.ok()) return status;
        }
        if (name.target == 0 && mending_ != Mending::none)
          note_free_name(media_, known, name_place(frame, slot));
      }
      link = &names->next;
    }
    if (announce_) walker_.directory(known);
    return {};
  }

  Status check_name(Frame directory, Place place, Name& name) {
    const Frame target = name.target;
    if (!is_whole(place, name) || !is_usable(target, media_.frames())) {
      repair(Finding::Kind::bad_name, directory, &name.target);
      return {};
    }
    Inode* inode = inode_at(target);
    const bool first = !walker_.is_marked(target);
    if (first && !(is_readable(walker_, target) && is_whole(inode->header, target))) {
      repair(Finding::Kind::bad_inode, directory, &name.target);
      return {};
    }
    if (first && !walker_.claim(target)) {
      repair(Finding::Kind::frame_twice, directory, &name.target);
      return {};
    }
    Object object{target, inode->header.type, true, 0, 0};
    if (!first && object.type == type_directory) {
      repair(Finding::Kind::directory_twice, directory, &name.target);
      return {};
    }
    if (first) check_inode(target, object);
    if (mending_ == Mending::damage && object.type == type_link && inode->link == 0) {
      repair(Finding::Kind::bad_link, directory, &name.target);
      return {};
    }
    if (announce_) {
      const Status status = walker_.name(directory, place, name, object, first);
      if (!status.ok() && status.error() != Error::occupied) return status;
      if (!status.ok()) {
        // Not marked: nobody was told of it, unless by another name before.
        repair(Finding::Kind::name_twice, directory, &name.target);
        return {};
      }
    }
    if (first) walker_.mark(target);
    if (first && object.type == type_directory && !walker_.push(target)) return Error::no_memory;
    return {};
  }

  void check_inode(Frame frame, Object& object) {
    Inode* inode = inode_at(frame);
    object = {frame, inode->header.type, true, 0, 0};
    const Result<Attributes> attributes = read_attributes(*inode);
    const bool whole = attributes.ok() && is_sound(attributes.value());
    const u64 pages = whole ? (attributes.value().size + frame_bytes - 1) / frame_bytes
                            : size_limit / frame_bytes;
    u64 last = 0;
    if (object.type == type_regular) {
      TreeCheck<M, V> check(media_, walker_, form_, mending_);
      check.run(inode, pages, object, last);
      wrote_ = wrote_ || check.wrote();
    }
    check_words(frame, object);
    if (whole) return;
    found(Finding::Kind::bad_attributes, frame, &inode->attributes[0].sequence);
    if (mending_ != Mending::damage) {
      object.sound = false;
      return;
    }
    // Nothing of the contents is lost: the size is that of all pages.
    Attributes made{};
    made.sequence = 1;
    made.mode = object.type == type_directory ? 0700 : 0600;
    made.size = object.type == type_link ? inode->header.link_bytes : last * frame_bytes;
    media_.zero(&inode->attributes, sizeof(inode->attributes));
    write_attributes(media_, inode, made);
    media_.flush(Site::name_mended, &inode->attributes, sizeof(inode->attributes));
    wrote_ = true;
  }

  static bool is_sound(const Attributes& attributes) {
    return attributes.size <= size_limit && attributes.mode <= 07777 && attributes.sealed <= 1 &&
           attributes.access.nanoseconds < 1000000000 &&
           attributes.modification.nanoseconds < 1000000000 &&
           attributes.change.nanoseconds < 1000000000;
  }

  /// What an inode's words lead to, but trees and names.
  void check_words(Frame frame, Object& object) {
    Inode* inode = inode_at(frame);
    const bool file = object.type == type_regular, directory = object.type == type_directory,
               link = object.type == type_link;
    // One by one: an initializer list would need a library.
    check_absent(file, &inode->roots[0], object);
    check_absent(file, &inode->roots[1], object);
    check_absent(directory, &inode->names, object);
    check_absent(link, &inode->link, object);
    if (link && !(can_be_read(inode->link) && is_whole_link(media_, *inode) &&
                  walker_.claim(inode->link))) {
      // Without a target it is none: a repair takes its names, too.
      if (!repair(Finding::Kind::bad_link, frame, &inode->link)) object.sound = false;
    }
    if (inode->xattrs == 0) return;
    const bool whole = can_be_read(inode->xattrs) && is_whole_payload(media_, inode->xattrs) &&
                       has_whole_xattrs(inode->xattrs);
    if ((!whole || !walker_.claim(inode->xattrs)) &&
        !repair(Finding::Kind::bad_xattrs, frame, &inode->xattrs))
      object.sound = false;
  }

  bool can_be_read(Frame frame) {
    return is_usable(frame, media_.frames()) && is_readable(walker_, frame);
  }

  bool has_whole_xattrs(Frame frame) {
    const Payload* payload = in_frame<Payload>(media_, frame);
    return each_xattr(payload->data, payload->bytes,
                      [](const u8*, u64, const u8*, u64) { return true; });
  }

  void check_absent(bool expected, u64* word, Object& object) {
    if (!expected && *word != 0 && !repair(Finding::Kind::bad_word, object.inode, word))
      object.sound = false;
  }

  M& media_;
  V& walker_;
  const Form form_;
  const Mending mending_;
  const bool announce_;
  bool wrote_ = false;
};

}  // namespace morsel::core::pool
