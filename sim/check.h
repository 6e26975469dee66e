// SPDX-License-Identifier: MIT
//
// Is an image what it may be? Mounts it, looks for anything that is not in order, and compares what
// is there with models.
#pragma once

#include "image.h"
#include "mount.h"

namespace morsel::sim {

/// What a power cut may leave.
struct Expectation {
  std::vector<const Model*> models;                                   ///< one of these
  bool nothing = false;                                               ///< or no pool at all
  enum class Repair { none, under_way, done } repair = Repair::none;  ///< of a damaged pool
  std::vector<Phys> bases;                                            ///< where it may be found
};

struct Verdict {
  u64 mended = 0;    ///< leftovers
  u64 replayed = 0;  ///< records of the log
};

inline const char* to_text(Finding::Kind kind) {
  using Kind = Finding::Kind;
  switch (kind) {
    case Kind::half_leaf:
      return "a half leaf";
    case Kind::beyond_end:
      return "a leaf beyond the end";
    case Kind::flags_set:
      return "changed flags";
    case Kind::bad_root:
      return "a bad root word";
    case Kind::bad_entry:
      return "a bad entry";
    case Kind::bad_leaf:
      return "a bad leaf beside a sound one";
    case Kind::frame_twice:
      return "a frame that is used twice";
    case Kind::twins_differ:
      return "twins that differ";
    case Kind::bad_inode:
      return "a bad inode";
    case Kind::bad_attributes:
      return "bad attributes";
    case Kind::bad_word:
      return "a word that its inode must not have";
    case Kind::bad_link:
      return "a bad symbolic link";
    case Kind::bad_xattrs:
      return "bad extended attributes";
    case Kind::bad_names:
      return "a bad frame of names";
    case Kind::bad_name:
      return "a bad name";
    case Kind::name_twice:
      return "a name that is there twice";
    case Kind::directory_twice:
      return "a directory with two names";
    default:
      return "something";
  }
}

class Checker {
 public:
  explicit Checker(u64 frames) : walker_(frames) {}

  /// Throws Failure if the image is none that was expected.
  Verdict check(Image& image, const Expectation& expected, Phys base) {
    Verdict verdict;
    unsigned whole = 0;
    const Result<Superblock> read = read_superblock(image, whole);
    if (!read.ok()) {
      if (expected.nothing && read.error() == Error::not_a_pool) return verdict;
      throw Failure("there is no superblock");
    }
    Superblock sb = read.value();
    using Repair = Expectation::Repair;
    const bool damaged = expected.repair != Repair::none;
    if (expected.repair != Repair::done)
      mend(image, sb, base, damaged ? Mending::damage : Mending::leftovers, verdict);
    look(image, sb, base);
    if (!damaged) compare(image, sb, base, expected.models);
    return verdict;
  }

  /// Is it this?
  bool is(Image& image, const Model& model, Phys base) {
    Expectation expected;
    expected.models = {&model};
    try {
      check(image, expected, base);
      return true;
    } catch (const Failure&) {
      return false;
    }
  }

  /// Exactly the frames that the allocator has given out are reached: none has leaked.
  void audit(Image& image, Phys base, const std::vector<char>& taken, std::optional<Frame> open) {
    unsigned whole = 0;
    Superblock sb = read_superblock(image, whole).value();
    walker_.forget_findings();
    Recovery done{};
    if (!recover(image, walker_, sb, base, Mending::none, done).ok())
      throw Failure("the pool in use can't be walked");
    if (open) claim(image, base, *open);
    for (const Finding& finding : walker_.findings())
      if (is_damage(finding.kind)) throw Failure("in use: " + describe(finding));
    for (Frame frame = 0; frame < taken.size(); frame++) {
      if (taken[frame] == walker_.claimed()[frame]) continue;
      throw Failure("frame " + std::to_string(frame) +
                    (taken[frame] != 0 ? " has leaked" : " is in use and free"));
    }
  }

 private:
  static std::string describe(const Finding& finding) {
    return std::string(to_text(finding.kind)) + " in inode " + std::to_string(finding.inode) +
           ", frame " + std::to_string(finding.place / frame_bytes) + " offset " +
           std::to_string(finding.place % frame_bytes);
  }

  void mend(Image& image, Superblock& sb, Phys base, Mending mending, Verdict& verdict) {
    walker_.forget_findings();
    Recovery done{};
    const Status status = recover(image, walker_, sb, base, mending, done);
    for (const Finding& finding : walker_.findings())
      if (is_damage(finding.kind) && mending != Mending::damage) throw Failure(describe(finding));
    if (!status.ok()) throw Failure("recovery fails");
    verdict.mended = walker_.findings().size();
    verdict.replayed = done.replayed;
  }

  /// As fsck that only looks: there is nothing to find any more.
  void look(Image& image, Superblock& sb, Phys base) {
    walker_.forget_findings();
    Recovery done{};
    const Status status = recover(image, walker_, sb, base, Mending::none, done);
    for (const Finding& finding : walker_.findings())
      throw Failure("after the recovery: " + describe(finding));
    if (!status.ok()) throw Failure("after the recovery: fsck fails");
    if (Log::pending(image) != 0) throw Failure("after the recovery: the log is not empty");
  }

  void claim(Image& image, Phys base, Frame frame) {
    Inode* inode = in_frame<Inode>(image, frame);
    const Form form{base, false, false};
    Object object{frame, type_regular, true, 0, 0};
    u64 last = 0;
    TreeCheck<Image, SeenWalker> check(image, walker_, form, Mending::none);
    check.run(inode, size_limit / frame_bytes, object, last);
    for (const Frame used : {frame, inode->xattrs})
      if (used != 0 && !walker_.claim(used)) throw Failure("an unlinked file shares a frame");
  }

  using Models = std::vector<const Model*>;

  void compare(Image& image, const Superblock& sb, Phys base, const Models& models) {
    std::vector<std::vector<Frame>> inodes(models.size());
    for (size_t i = 0; i < models.size(); i++)
      if (!matches(image, sb, *models[i], inodes[i]))
        inodes[i].clear();
      else if (pages(image, base, {models[i]}, inodes[i]))
        return;
    // Where names and attributes are the same, each page by itself may be the one or the other.
    for (size_t i = 0; i < models.size(); i++) {
      Models same;
      for (size_t j = 0; j < models.size(); j++)
        if (inodes[j] == inodes[i]) same.push_back(models[j]);
      if (!inodes[i].empty() && same.size() > 1 && pages(image, base, same, inodes[i])) return;
    }
    throw Failure(why_);
  }

  bool differs(const char* what, size_t thing) {
    why_ = what + std::string(", thing ") + std::to_string(thing);
    return false;
  }

  /// Names, types, attributes; fills in which inode is which thing.
  bool matches(Image& image, const Superblock& sb, const Model& model, std::vector<Frame>& inodes) {
    inodes.assign(model.things.size(), 0);
    if (std::memcmp(sb.uuid, &model.identity, sizeof(model.identity)) != 0)
      return differs("another pool", 0);
    return matches(image, model, Model::root, root_inode_frame, inodes);
  }

  bool matches(Image& image, const Model& model, size_t id, Frame frame,
               std::vector<Frame>& inodes) {
    if (inodes[id] != 0)
      return inodes[id] == frame || differs("two names of one thing lead to two", id);
    for (const Frame other : inodes)
      if (other == frame) return differs("the names of two things lead to one", id);
    inodes[id] = frame;
    const Thing& thing = model.things[id];
    const Inode& inode = *in_frame<Inode>(image, frame);
    const Attributes attributes = read_attributes(inode).value();
    if (inode.header.type != thing.type) return differs("another type", id);
    if (attributes.uid != thing.owner) return differs("another owner", id);
    if (attributes.mode != thing.mode) return differs("another mode", id);
    if (attributes.size != thing.size) return differs("another size", id);
    if (text(image, inode.link, 0, inode.header.link_bytes) != thing.target)
      return differs("another target of a symbolic link", id);
    const u64 xattr_bytes = inode.xattrs == 0 ? 0 : in_frame<Payload>(image, inode.xattrs)->bytes;
    if (text(image, inode.xattrs, __builtin_offsetof(Payload, data), xattr_bytes) != thing.xattrs)
      return differs("other extended attributes", id);
    size_t names = 0;
    for (const SeenWalker::Entry& entry : walker_.entries()) {
      if (entry.directory != frame) continue;
      names++;
      const auto name = thing.names.find(entry.name);
      if (name == thing.names.end()) return differs("a name too many in a directory", id);
      if (!matches(image, model, name->second, entry.object.inode, inodes)) return false;
    }
    return names == thing.names.size() || differs("a name is missing in a directory", id);
  }

  static std::string_view text(Image& image, Frame frame, u64 offset, u64 bytes) {
    return frame == 0 ? std::string_view()
                      : std::string_view(in_frame<char>(image, frame) + offset, bytes);
  }

  /// Who only looks needs none.
  struct NoFrames {
    Result<Frame> get() { return Error::no_space; }
    void put(Frame) {}
  };
  using LookTree = Tree<TreeHost<Image, NoFrames>>;

  struct Choices {
    const Page* page[4];  ///< nullptr: a hole
    unsigned count;
  };

  /// Every page of every file is that of one of the models.
  bool pages(Image& image, Phys base, const Models& models, const std::vector<Frame>& inodes) {
    for (size_t id = 0; id < inodes.size(); id++) {
      if (inodes[id] == 0 || models[0]->things[id].type != type_regular) continue;
      Roots& roots = *reinterpret_cast<Roots*>(in_frame<Inode>(image, inodes[id])->roots);
      LookTree tree(TreeHost<Image, NoFrames>(image, no_frames_, base), roots);
      u64 present = 0;
      for (const Model* model : models)
        for (const auto& [index, content] : model->things[id].pages) {
          const Model* first = nullptr;  // that has this page
          Choices choices{};
          for (const Model* other : models) {
            const auto& known = other->things[id].pages;
            const auto found = known.find(index);
            if (found != known.end() && first == nullptr) first = other;
            choices.page[choices.count++] = found == known.end() ? nullptr : &found->second;
          }
          if (first != model) continue;
          Leaf leaf{};
          const bool there = tree.lookup(Twin::ro, index, leaf);
          const bool right =
              there ? contents(in_frame<u64>(image, leaf.pfn - base / frame_bytes), choices)
                    : may_be_hole(choices);
          if (!right) return differs("a page's contents", id);
          present += there;
        }
      if (present != leaves(inodes[id])) return differs("a page too many", id);
    }
    return true;
  }

  static bool may_be_hole(const Choices& choices) {
    for (unsigned i = 0; i < choices.count; i++)
      if (choices.page[i] == nullptr) return true;
    return false;
  }

  /// A page that may be there with one content only must hold that; a page that is being
  /// overwritten is torn between words.
  static bool contents(const u64* words, const Choices& choices) {
    for (unsigned i = 0; i < choices.count; i++)
      if (choices.page[i] != nullptr && is_all(words, head_words, choices.page[i]->head) &&
          is_all(words + head_words, words_per_frame - head_words, choices.page[i]->body))
        return true;
    for (u64 word = 0; word < words_per_frame; word++) {
      bool right = false;
      for (unsigned i = 0; i < choices.count; i++) {
        const Page* page = choices.page[i];
        right = right ||
                (page != nullptr && words[word] == (word < head_words ? page->head : page->body));
      }
      if (!right) return false;
    }
    return true;
  }

  static bool is_all(const u64* words, u64 count, u64 value) {
    u64 wrong = 0;
    for (u64 i = 0; i < count; i++) wrong |= words[i] ^ value;
    return wrong == 0;
  }

  u64 leaves(Frame inode) const {
    for (const SeenWalker::Entry& entry : walker_.entries())
      if (entry.first && entry.object.inode == inode) return entry.object.leaves;
    return 0;
  }

  SeenWalker walker_;
  NoFrames no_frames_;
  std::string why_;
};

}  // namespace morsel::sim
