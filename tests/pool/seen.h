// SPDX-License-Identifier: MIT
//
// What a walk over a pool has told: a walker with the simplest containers.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/pool/recover.h"
#include "memory.h"

namespace morsel::core::pool::test {

class Seen {
 public:
  explicit Seen(u64 frames) : used(frames), frames_(frames) {}

  void restart() {
    used = FrameMap(frames_);
    names.clear();
    objects.clear();
    directories.clear();
    marked_.clear();
    stack_.clear();
  }
  bool claim(Frame frame) { return used.claim(frame); }
  void mark(Frame frame) { marked_.insert(frame); }
  bool is_marked(Frame frame) { return marked_.contains(frame); }
  bool push(Frame frame) {
    stack_.push_back(frame);
    return true;
  }
  bool pop(Frame& frame) {
    if (stack_.empty()) return false;
    frame = stack_.back();
    stack_.pop_back();
    return true;
  }
  Status name(Frame directory, Place place, const Name& name, const Object& object, bool first) {
    const std::string text(reinterpret_cast<const char*>(name.bytes), name.length);
    if (first == objects.contains(object.inode) && !names[directory].contains(text))
      die("first name of an inode, or not", object.inode);
    if (!names[directory].emplace(text, Link{object.inode, place}).second) return Error::occupied;
    if (first) objects.emplace(object.inode, object);
    return {};
  }
  void directory(const Directory& known) {
    if (known.inode != root_inode_frame && !objects.contains(known.inode))
      die("names of a directory that nobody was told of", known.inode);
    directories.emplace(known.inode, known);
  }
  void found(const Finding& finding) { findings.push_back(finding); }
  void pace() {}
  bool readable(Frame frame) { return !unreadable.contains(frame); }

  [[nodiscard]] bool damaged() const {
    for (const Finding& finding : findings)
      if (is_damage(finding.kind)) return true;
    return false;
  }
  [[nodiscard]] u64 count_of(Finding::Kind kind) const {
    u64 count = 0;
    for (const Finding& finding : findings) count += finding.kind == kind;
    return count;
  }

  struct Link {
    Frame inode;
    Place place;
  };
  FrameMap used;
  std::map<Frame, std::map<std::string, Link>> names;  ///< by directory
  std::map<Frame, Object> objects;                     ///< all but the root directory
  std::map<Frame, Directory> directories;
  std::vector<Finding> findings;  ///< of all walks
  std::set<Frame> unreadable;     ///< as the medium is said to be

 private:
  u64 frames_;
  std::set<Frame> marked_;
  std::vector<Frame> stack_;
};
static_assert(Walker<Seen>);

}  // namespace morsel::core::pool::test
