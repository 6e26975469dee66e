/* SPDX-License-Identifier: GPL-2.0 OR MIT */
// What the walk over a pool can find, and what it needs of whoever walks.
#pragma once

#include "names.h"

namespace morsel::core::pool {

struct Finding {
  enum class Kind : unsigned char {
    // what a power cut leaves; mended by every mount that may write
    half_leaf,   ///< a leaf or table in one twin only
    beyond_end,  ///< a leaf beyond the end of its file
    flags_set,   ///< accessed and dirty bits that somebody has changed
    // damage
    bad_root,        ///< a root word that leads outside the pool, or has no sound level
    bad_entry,       ///< an entry that leads outside the pool, or has flags that none has
    bad_leaf,        ///< such a leaf, but the other twin's is as it should be
    frame_twice,     ///< a frame that something else has already
    twins_differ,    ///< a page that is one frame for readers and another one for writers
    bad_inode,       ///< a name leads to a frame that is no whole inode
    bad_attributes,  ///< neither copy of an inode's attributes is whole, or they can't be
    bad_word,        ///< an inode has what its type has not
    bad_link,        ///< a symbolic link's target is not whole
    bad_xattrs,      ///< extended attributes are not whole
    bad_names,       ///< a directory leads to a frame that is no frame of names
    bad_name,        ///< a name that is not whole, or leads outside the pool
    name_twice,      ///< two names of a directory are the same
    directory_twice  ///< a directory has a second name
  } kind;
  Frame inode;  ///< the inode, or the directory whose name it is
  Place place;  ///< of the word that is wrong
  u64 value;    ///< what it holds
};

constexpr bool is_damage(Finding::Kind kind) { return kind >= Finding::Kind::bad_root; }

/// What is done about findings.
enum class Mending : unsigned char {
  none,       ///< nothing is written
  leftovers,  ///< what a power cut leaves is put in order
  damage,     ///< whatever is damaged is cleared, but for leaves that the other twin has whole
};

/// An inode as the walk has seen it.
struct Object {
  Frame inode;
  u32 type;
  bool sound;  ///< without damage, or repaired
  u64 leaves;  ///< frames of data
  u64 tables;  ///< frames of tables, in both twins
};

/// Who walks.
///
///   restart()           all frames are free, no inode is known, the stack is empty
///   claim(frame)        the frame is taken from now on; false if it was
///   mark(frame)         it is an inode that is known from now on
///   is_marked(frame)
///   push(directory)     a stack; false without memory
///   pop(directory)      false if it is empty
///   name(directory, place, name, object, first)  a name of an inode, which is announced when its
///                       first one is. Error::occupied: that directory has such a name already.
///                       Error::no_memory ends the walk
///   directory(known)    all names of a directory have been announced
///   found(finding)
///   pace()              now and then: a moment for others
///   readable(frame)     optional: false where the medium is known to be broken, and reading it
///                       would be a machine check; what lies there counts as not whole
template <class V>
concept Walker = requires(V& v, Frame frame, Frame& popped, Place place, const Name& name,
                          const Object& object, const Directory& known, const Finding& finding) {
  { v.restart() } -> Is<void>;
  { v.claim(frame) } -> Is<bool>;
  { v.mark(frame) } -> Is<void>;
  { v.is_marked(frame) } -> Is<bool>;
  { v.push(frame) } -> Is<bool>;
  { v.pop(popped) } -> Is<bool>;
  { v.name(frame, place, name, object, true) } -> Is<Status>;
  { v.directory(known) } -> Is<void>;
  { v.found(finding) } -> Is<void>;
  { v.pace() } -> Is<void>;
};

template <Walker V>
bool is_readable(V& walker, Frame frame) {
  if constexpr (requires { walker.readable(frame); })
    return walker.readable(frame);
  else
    return true;
}

}  // namespace morsel::core::pool
