// SPDX-License-Identifier: MIT
// What the walk over a pool has found: frames, inodes, names, and what is wrong.
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/pool/recover.h"
#include "image.h"

namespace morsel::pool {

/// A finding, with what was to be read beside it at that moment: a repair may clear it.
struct Found {
  Finding finding;
  u32 type;          ///< of the inode that it is about
  std::string name;  ///< of the name that is wrong; empty if it is something else
};

/// A name, and where it leads.
struct Link {
  std::string name;
  Frame inode;
};

/// How many frames hold what.
struct Counts {
  u64 files = 0, directories = 0, links = 0, others = 0;  ///< inodes, by type
  u64 names = 0;                                          ///< names, not frames
  u64 data = 0, tables = 0;                               ///< frames, as are all below
  u64 names_frames = 0, link_frames = 0, xattr_frames = 0;

  [[nodiscard]] u64 inodes() const { return files + directories + links + others; }
  [[nodiscard]] u64 used() const {
    return first_free_frame - 1 + inodes() + data + tables + names_frames + link_frames +
           xattr_frames;
  }
};

class PoolWalker {
 public:
  explicit PoolWalker(const Image& image) : image_(image) { restart(); }

  // Walker.
  void restart();
  bool claim(Frame frame);
  void mark(Frame frame) { known_.try_emplace(frame); }
  bool is_marked(Frame frame) const { return known_.contains(frame); }
  bool push(Frame frame);
  bool pop(Frame& frame);
  core::Status name(Frame directory, Place place, const Name& name, const Object& object,
                    bool first);
  void directory(const Directory& known);
  void found(const Finding& finding);
  void pace() {}
  bool readable(Frame frame) { return image_.is_readable(frame); }

  /// "/a/b"; empty for an inode that was not reached by names.
  [[nodiscard]] std::string path(Frame inode) const;
  /// What the inode was found to be; null for what was not reached. The root directory is not
  /// announced, and always null.
  [[nodiscard]] const Object* object(Frame inode) const;
  [[nodiscard]] u64 names_of(Frame inode) const;  ///< how many there are: st_nlink of files
  [[nodiscard]] const std::vector<Link>& links(Frame directory) const;
  [[nodiscard]] const std::vector<Found>& findings() const { return findings_; }
  [[nodiscard]] Counts counts() const;
  [[nodiscard]] u64 claimed() const { return claimed_; }

 private:
  struct Known {
    Object object{};
    Frame parent = 0;  ///< of the first name
    std::string name;
    u64 names = 0;
  };

  const Image& image_;
  std::vector<bool> used_;
  u64 claimed_ = 0;
  std::unordered_map<Frame, Known> known_;
  std::unordered_map<Frame, std::vector<Link>> links_;
  std::vector<Frame> stack_;
  std::set<std::string> names_;  ///< of the directory that is being walked
  std::vector<Found> findings_;
  std::set<std::pair<Finding::Kind, Place>> told_;  ///< some walks are made of several
};
static_assert(Walker<PoolWalker>);

}  // namespace morsel::pool
