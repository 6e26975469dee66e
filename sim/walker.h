// SPDX-License-Identifier: MIT
//
// Keeps what core's walk tells: names, frames that are in use, findings.
#pragma once

#include "core.h"

namespace morsel::sim {

class SeenWalker {
 public:
  struct Entry {
    Frame directory;
    Place place;
    std::string_view name;  ///< in the medium
    Object object;
    bool first;
  };

  explicit SeenWalker(u64 frames) : claimed_(frames), marked_(frames) {}

  void restart() {
    std::fill(claimed_.begin(), claimed_.end(), 0);
    std::fill(marked_.begin(), marked_.end(), 0);
    stack_.clear();
    entries_.clear();
    directories_.clear();
  }
  bool claim(Frame frame) { return std::exchange(claimed_.at(frame), 1) == 0; }
  void mark(Frame frame) { marked_.at(frame) = 1; }
  bool is_marked(Frame frame) { return marked_.at(frame) != 0; }
  bool push(Frame directory) {
    stack_.push_back(directory);
    return true;
  }
  bool pop(Frame& directory) {
    if (stack_.empty()) return false;
    directory = stack_.back();
    stack_.pop_back();
    return true;
  }
  Status name(Frame directory, Place place, const Name& name, const Object& object, bool first) {
    const std::string_view text(reinterpret_cast<const char*>(name.bytes), name.length);
    for (const Entry& entry : entries_)
      if (entry.directory == directory && entry.name == text) return Error::occupied;
    entries_.push_back({directory, place, text, object, first});
    return {};
  }
  void directory(const Directory& known) { directories_.push_back(known); }
  void found(const Finding& finding) { findings_.push_back(finding); }
  void pace() {}

  const std::vector<Entry>& entries() const { return entries_; }
  const std::vector<Directory>& directories() const { return directories_; }
  const std::vector<Finding>& findings() const { return findings_; }
  const std::vector<char>& claimed() const { return claimed_; }
  void forget_findings() { findings_.clear(); }

 private:
  std::vector<char> claimed_, marked_;
  std::vector<Frame> stack_;
  std::vector<Entry> entries_;
  std::vector<Directory> directories_;
  std::vector<Finding> findings_;
};
static_assert(Walker<SeenWalker>);

}  // namespace morsel::sim
