// SPDX-License-Identifier: MIT
#include "walker.h"

#include <algorithm>

namespace morsel::pool {
namespace {

std::string text_of(const Name& name) {
  return {reinterpret_cast<const char*>(name.bytes), std::min<size_t>(name.length, name_limit)};
}

/// The slot whose target is the word at a place.
const Name& slot_at(const Image& image, Place place) {
  return *reinterpret_cast<const Name*>(static_cast<const u8*>(image.at(0)) + place);
}

}  // namespace

void PoolWalker::restart() {
  used_.assign(image_.frames(), false);
  claimed_ = 0;
  known_.clear();
  links_.clear();
  stack_.clear();
  names_.clear();
}

bool PoolWalker::claim(Frame frame) {
  if (used_[frame]) return false;
  used_[frame] = true;
  claimed_++;
  return true;
}

bool PoolWalker::push(Frame frame) {
  stack_.push_back(frame);
  return true;
}

bool PoolWalker::pop(Frame& frame) {
  if (stack_.empty()) return false;
  frame = stack_.back();
  stack_.pop_back();
  return true;
}

core::Status PoolWalker::name(Frame directory, Place, const Name& name, const Object& object,
                              bool first) {
  const std::string text = text_of(name);
  if (!names_.insert(text).second) return core::Error::occupied;
  Known& known = known_[object.inode];
  if (first) known = {object, directory, text, 0};
  known.names++;
  links_[directory].push_back({text, object.inode});
  return {};
}

void PoolWalker::directory(const Directory&) { names_.clear(); }

void PoolWalker::found(const Finding& finding) {
  if (!told_.emplace(finding.kind, finding.place).second) return;
  Found found{finding, static_cast<Inode*>(image_.at(finding.inode))->header.type, {}};
  const bool in_inode = finding.place / frame_bytes == finding.inode;
  const u64 offset = finding.place % frame_bytes;
  constexpr u64 first = __builtin_offsetof(NamesFrame, name);
  // Of what lies outside of its inode, a directory has names only, and links to frames of them.
  if (found.type == type_directory && !in_inode && offset >= first)
    found.name = text_of(slot_at(image_, finding.place));
  findings_.push_back(std::move(found));
}

std::string PoolWalker::path(Frame inode) const {
  if (inode == root_inode_frame) return "/";
  std::string path;
  while (inode != root_inode_frame) {
    const auto found = known_.find(inode);
    if (found == known_.end() || found->second.parent == 0) return {};
    path.insert(0, "/" + found->second.name);
    inode = found->second.parent;
  }
  return path;
}

const Object* PoolWalker::object(Frame inode) const {
  const auto found = known_.find(inode);
  return found == known_.end() || found->second.parent == 0 ? nullptr : &found->second.object;
}

u64 PoolWalker::names_of(Frame inode) const {
  const auto found = known_.find(inode);
  return found == known_.end() ? 0 : found->second.names;
}

const std::vector<Link>& PoolWalker::links(Frame directory) const {
  static const std::vector<Link> none;
  const auto found = links_.find(directory);
  return found == links_.end() ? none : found->second;
}

Counts PoolWalker::counts() const {
  Counts counts;
  const auto count = [&](Frame frame, u32 type) {
    const Inode* inode = static_cast<const Inode*>(image_.at(frame));
    counts.xattr_frames += inode->xattrs != 0;
    switch (type) {
      case type_regular:
        counts.files++;
        break;
      case type_directory:
        counts.directories++;
        break;
      case type_link:
        counts.links++, counts.link_frames += inode->link != 0;
        break;
      default:
        counts.others++;
    }
  };
  count(root_inode_frame, type_directory);
  for (const auto& [frame, known] : known_) {
    if (known.parent == 0) continue;
    count(frame, known.object.type);
    counts.names += known.names;
    counts.data += known.object.leaves;
    counts.tables += known.object.tables;
  }
  // What is left of all that was claimed.
  counts.names_frames = claimed_ - std::min(claimed_, counts.used());
  return counts;
}

}  // namespace morsel::pool
