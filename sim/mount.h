// SPDX-License-Identifier: MIT
//
// A file system over core, without a kernel: which calls of core an operation consists of, and in
// which order. What the kernel does, without its locks.
#pragma once

#include <memory>

#include "bitmap.h"
#include "operation.h"
#include "walker.h"

namespace morsel::sim {

/// Where pools may lie. The second place overlaps the first one.
inline constexpr Phys bases[] = {0x100000000, 0x100005000, 0x8000000000};

struct Node {
  Frame inode = 0;
  u32 type = 0;
  unsigned links = 0;
  bool mapped = false;  ///< for writing
  Attributes attributes{};
  Directory directory{};
  struct Link {
    Place place;
    Frame inode;
  };
  std::map<std::string, Link, std::less<>> names;
};

/// No space: the operation has changed nothing.
struct NoSpace {};

class Mount {
 public:
  explicit Mount(Memory& memory) : memory_(memory), frames_(memory) {}

  static void make(Memory& memory, const Model& model) {
    Superblock sb{};
    sb.frames = memory.frames();
    sb.base = bases[0];
    std::memcpy(sb.uuid, &model.identity, sizeof(model.identity));
    NewInode root{};
    root.attributes.mode = model.things[Model::root].mode;
    root.attributes.uid = model.things[Model::root].owner;
    make_pool(memory, sb, root);
  }

  /// As every mount that may write.
  void mount(Phys base) {
    unsigned whole = 0;
    const Result<Superblock> read = read_superblock(memory_, whole);
    if (!read.ok()) throw Failure("mount: no superblock");
    sb_ = read.value();
    SeenWalker walker(memory_.frames());
    Recovery done{};
    if (!recover(memory_, walker, sb_, base, Mending::leftovers, done).ok())
      throw Failure("mount: recovery fails");
    base_ = base;
    frames_.assign(walker.claimed());
    nodes_.clear();
    log_ = {};
    open_.reset();
    learn(root_inode_frame, type_directory);
    for (const SeenWalker::Entry& entry : walker.entries()) {
      const Frame target = entry.object.inode;
      if (entry.first) learn(target, entry.object.type);
      nodes_[target].links++;
      nodes_[entry.directory].names[std::string(entry.name)] = {entry.place, target};
    }
    for (const Directory& known : walker.directories()) nodes_[known.inode].directory = known;
    set_clean(0);
  }
  void unmount() {
    if (open_) close();
    set_clean(1);
  }

  /// Does to the pool what apply() did to a model, which is `after` now. Throws NoSpace.
  void execute(const Operation& operation, const Model& after);

  /// Makes durable what this CPU sees of these pages of a file, stores through mappings included.
  /// The tree comes first: it completes leaves that only the writable twin has.
  void fsync(Node& node, Range range) {
    auto synced = tree(node);
    synced.persist(range);
    if (!node.mapped) return;
    for (Index index = synced.next(range, true); index < range.last;
         index = synced.next({index + 1, range.last}, true)) {
      Leaf leaf{};
      synced.lookup(Twin::ro, index, leaf);
      memory_.flush(Site::data_range, memory_.at(frame_of(leaf)), frame_bytes);
    }
    persist_data(memory_);
  }
  /// A store through a writable mapping to a page that is there.
  void store_mapped(Node& node, Index index, u64 head) {
    Leaf leaf{};
    tree(node).lookup(Twin::rw, index, leaf);
    const std::vector<u64> words(head_words, head);
    node.mapped = true;
    memory_.write(memory_.at(frame_of(leaf)), words.data(), head_bytes);
  }
  /// Fills a hole; nothing else of the file changes. Returns false if there is no frame, or no
  /// hole.
  bool fill(Node& node, Index index, Page page) {
    auto grown = tree(node);
    return fill_hole(memory_, frames_, grown, base_, index,
                     [&](void* frame) {
                       std::vector<u64> words(words_per_frame, page.body);
                       std::fill_n(words.begin(), head_words, page.head);
                       memory_.write(frame, words.data(), frame_bytes);
                     })
        .ok();
  }
  bool has(Node& node, Twin twin, Index index) {
    Leaf leaf{};
    return tree(node).lookup(twin, index, leaf);
  }

  Node& at(std::string_view path) {
    Frame at = root_inode_frame;
    while (!path.empty()) {
      path.remove_prefix(1);
      const std::string_view name = path.substr(0, path.find('/'));
      path.remove_prefix(name.size());
      if (name.empty()) break;
      at = nodes_.at(at).names.find(name)->second.inode;
    }
    return nodes_.at(at);
  }
  Node& open_file() { return nodes_.at(*open_); }
  std::optional<Frame> open() const { return open_; }
  Phys base() const { return base_; }
  const Bitmap& frames() const { return frames_; }

 private:
  using FileTree = Tree<TreeHost<Memory, Bitmap>>;

  Frame frame_of(const Leaf& leaf) const { return leaf.pfn - base_ / frame_bytes; }
  Inode* inode(const Node& node) { return in_frame<Inode>(memory_, node.inode); }
  FileTree tree(const Node& node) {
    return {TreeHost<Memory, Bitmap>(memory_, frames_, base_),
            *reinterpret_cast<Roots*>(inode(node)->roots)};
  }

  void learn(Frame frame, u32 type) {
    Node& node = nodes_[frame];
    node.inode = frame;
    node.type = type;
    node.attributes = read_attributes(*inode(node)).value();
  }

  void set_clean(u32 clean) {
    sb_.clean = clean;
    write_superblock(memory_, sb_);
  }

  Node::Link& link_at(const std::string& path) {
    return at(directory_of(path)).names.at(std::string(name_of(path)));
  }

  Place prepare(const std::string& path) {
    const std::string_view name = name_of(path);
    const Result<Place> place =
        prepare_name(memory_, frames_, at(directory_of(path)).directory, name.data(), name.size());
    if (!place.ok()) throw NoSpace();
    return place.value();
  }

  void create(const std::string& path, const Thing& thing) {
    std::vector<Frame> got;
    for (unsigned i = 0; i < (thing.target.empty() ? 1U : 2U); i++) {
      const Result<Frame> frame = frames_.get();
      if (frame.ok()) {
        got.push_back(frame.value());
        continue;
      }
      for (const Frame back : got) frames_.put(back);
      throw NoSpace();
    }
    Place place = 0;
    try {
      place = prepare(path);
    } catch (const NoSpace&) {
      for (const Frame back : got) frames_.put(back);
      throw;
    }
    NewInode made{};
    made.header.type = thing.type;
    made.attributes.mode = thing.mode;
    made.attributes.uid = thing.owner;
    made.attributes.size = thing.size;
    if (!thing.target.empty())
      make_link(memory_, got[1], thing.target.data(), thing.target.size(), made.header);
    make_inode(memory_, got[0], made, thing.target.empty() ? 0 : got[1]);
    publish_name(memory_, place, got[0]);
    Node& node = nodes_[got[0]];
    node.inode = got[0];
    node.type = thing.type;
    node.links = 1;
    node.attributes = made.attributes;
    node.directory = {got[0], 0, 0};
    at(directory_of(path)).names[std::string(name_of(path))] = {place, got[0]};
  }

  void link(const std::string& from, const std::string& to) {
    const Place place = prepare(to);
    Node& node = at(from);
    publish_name(memory_, place, node.inode);
    node.links++;
    at(directory_of(to)).names[std::string(name_of(to))] = {place, node.inode};
  }

  void unlink(const std::string& path, bool keep) {
    Node& directory = at(directory_of(path));
    const Node::Link link = link_at(path);
    clear_name(memory_, directory.directory, link.place);
    directory.names.erase(directory.names.find(name_of(path)));
    if (keep) open_ = link.inode;
    drop_link(link.inode);
  }

  /// A name of the inode is gone, durably.
  void drop_link(Frame inode) {
    Node& node = nodes_.at(inode);
    if (--node.links == 0 && open_ != inode) destroy(node);
  }

  void close() {
    Node& node = open_file();
    open_.reset();
    destroy(node);
  }

  /// Nothing leads to the inode, durably.
  void destroy(Node& node) {
    Inode* medium = inode(node);
    if (node.type == type_regular) {
      std::vector<Pfn> leaves;
      tree(node).free([&](Pfn pfn, Level) { leaves.push_back(pfn); });
      put_leaves(leaves);
    }
    for (Frame names = medium->names; names != 0;) {
      const Frame next = in_frame<NamesFrame>(memory_, names)->next;
      frames_.put(names);
      names = next;
    }
    if (medium->link != 0) frames_.put(medium->link);
    if (medium->xattrs != 0) frames_.put(medium->xattrs);
    const Frame frame = node.inode;
    nodes_.erase(frame);
    frames_.put(frame);
  }

  void put_leaves(const std::vector<Pfn>& leaves) {
    for (const Pfn pfn : leaves) frames_.put(pfn - base_ / frame_bytes);
  }

  void commit(std::initializer_list<LogChange> changes) {
    if (!log_.commit(memory_, changes.begin(), static_cast<unsigned>(changes.size())))
      throw Failure("the log is full");
  }

  void rename(const std::string& from, const std::string& to) {
    Node& old_directory = at(directory_of(from));
    Node& new_directory = at(directory_of(to));
    const Node::Link link = link_at(from);
    const auto replaced = new_directory.names.find(name_of(to));
    const bool replaces = replaced != new_directory.names.end();
    const Frame old = replaces ? replaced->second.inode : 0;
    const Place place = replaces ? replaced->second.place : prepare(to);
    commit({{place, link.inode}, {link.place, 0}});
    note_free_name(memory_, old_directory.directory, link.place);
    old_directory.names.erase(old_directory.names.find(name_of(from)));
    new_directory.names[std::string(name_of(to))] = {place, link.inode};
    if (replaces) drop_link(old);
  }

  void exchange(const std::string& a, const std::string& b) {
    Node::Link &first = link_at(a), &second = link_at(b);
    commit({{first.place, second.inode}, {second.place, first.inode}});
    std::swap(first.inode, second.inode);
  }

  void change_attributes(Node& node, const Thing& thing) {
    node.attributes.size = thing.size;
    node.attributes.mode = thing.mode;
    write_attributes(memory_, inode(node), node.attributes);
  }

  void write(Node& node, const Thing& thing, Index index) {
    const Page page = thing.pages.at(index);
    Leaf leaf{};
    if (tree(node).lookup(Twin::ro, index, leaf)) {
      const std::vector<u64> words(head_words, page.head);
      write_bytes(memory_, frame_of(leaf), 0, words.data(), head_bytes);
      persist_data(memory_);
    } else if (!fill(node, index, page)) {
      throw NoSpace();
    }
    if (thing.size != node.attributes.size) change_attributes(node, thing);
  }

  void remove(Node& node, Range range, bool prune) {
    std::vector<Pfn> leaves;
    tree(node).remove(range, prune, [&](Pfn pfn, Level) { leaves.push_back(pfn); });
    put_leaves(leaves);
  }

  void truncate(Node& node, const Thing& thing) {
    const bool shrinks = thing.size < node.attributes.size;
    change_attributes(node, thing);
    if (shrinks)
      remove(node, {thing.size / frame_bytes, pages_per_table(top_level)}, /*prune=*/true);
  }

  void set_xattrs(Node& node, const std::string& list) {
    const Status status =
        replace_payload(memory_, frames_, &inode(node)->xattrs, list.data(), list.size());
    if (!status.ok()) throw NoSpace();
  }

  Memory& memory_;
  Bitmap frames_;
  Superblock sb_{};
  Phys base_ = 0;
  Log log_;
  std::map<Frame, Node> nodes_;
  std::optional<Frame> open_;  ///< an unlinked file that is still open
};

inline void Mount::execute(const Operation& operation, const Model& after) {
  using Kind = Operation::Kind;
  const auto id = subject_of(after, operation);
  const Thing none, &thing = id ? after.things[*id] : none;
  switch (operation.kind) {
    case Kind::create:
    case Kind::mkdir:
    case Kind::symlink:
      return create(operation.a, thing);
    case Kind::link:
      return link(operation.a, operation.b);
    case Kind::unlink:
    case Kind::rmdir:
      return unlink(operation.a, /*keep=*/false);
    case Kind::detach:
      return unlink(operation.a, /*keep=*/true);
    case Kind::rename:
      return rename(operation.a, operation.b);
    case Kind::exchange:
      return exchange(operation.a, operation.b);
    case Kind::write:
      return write(at(operation.a), thing, operation.n);
    case Kind::write_open:
      return write(open_file(), thing, operation.n);
    case Kind::close:
      return close();
    case Kind::truncate:
      return truncate(at(operation.a), thing);
    case Kind::punch:
      return remove(at(operation.a), {operation.n, operation.n + operation.m}, /*prune=*/false);
    case Kind::prune:
      return tree(at(operation.a)).prune({0, pages_per_table(top_level)});
    case Kind::fsync:
      return fsync(at(operation.a), {0, pages_per_table(top_level)});
    case Kind::chmod:
      return change_attributes(at(operation.a), thing);
    case Kind::setxattr:
    case Kind::removexattr:
      return set_xattrs(at(operation.a), thing.xattrs);
    case Kind::remount:
      unmount();
      return mount(base_);
    case Kind::move:
      unmount();
      return mount(bases[operation.n]);
    case Kind::mkfs:
      make(memory_, after);
      return mount(bases[0]);
    case Kind::none:
      break;
  }
}

}  // namespace morsel::sim
