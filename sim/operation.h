// SPDX-License-Identifier: MIT
//
// Operations: as text, which repeats a run, and what they do to a model.
#pragma once

#include <algorithm>
#include <sstream>

#include "model.h"

namespace morsel::sim {

struct Operation {
  enum class Kind : unsigned {
    create,
    mkdir,
    symlink,
    link,
    unlink,
    rmdir,
    rename,
    exchange,
    write,
    truncate,
    punch,
    prune,
    fsync,
    chmod,
    setxattr,
    removexattr,
    detach,      ///< unlink of an open file
    write_open,  ///< to that file
    close,       ///< of that file
    remount,     ///< orderly
    move,        ///< and at another base
    mkfs,        ///< over what is there
    none
  } kind = Kind::none;
  std::string a, b;  ///< paths
  u64 n = 0, m = 0;  ///< pages, mode, value, base
};

struct Grammar {
  Operation::Kind kind;
  const char* word;
  int paths, numbers;
};
inline constexpr Grammar grammar[] = {
    {Operation::Kind::create, "create", 1, 0},
    {Operation::Kind::mkdir, "mkdir", 1, 0},
    {Operation::Kind::symlink, "symlink", 1, 0},
    {Operation::Kind::link, "link", 2, 0},
    {Operation::Kind::unlink, "unlink", 1, 0},
    {Operation::Kind::rmdir, "rmdir", 1, 0},
    {Operation::Kind::rename, "rename", 2, 0},
    {Operation::Kind::exchange, "exchange", 2, 0},
    {Operation::Kind::write, "write", 1, 1},
    {Operation::Kind::truncate, "truncate", 1, 1},
    {Operation::Kind::punch, "punch", 1, 2},
    {Operation::Kind::prune, "prune", 1, 0},
    {Operation::Kind::fsync, "fsync", 1, 0},
    {Operation::Kind::chmod, "chmod", 1, 1},
    {Operation::Kind::setxattr, "setxattr", 1, 1},
    {Operation::Kind::removexattr, "removexattr", 1, 0},
    {Operation::Kind::detach, "detach", 1, 0},
    {Operation::Kind::write_open, "write-open", 0, 1},
    {Operation::Kind::close, "close", 0, 0},
    {Operation::Kind::remount, "remount", 0, 0},
    {Operation::Kind::move, "move", 0, 1},
    {Operation::Kind::mkfs, "mkfs", 0, 0},
};

inline Operation parse_operation(const std::string& text) {
  std::istringstream in(text);
  std::string word;
  in >> word;
  for (const Grammar& rule : grammar) {
    if (word != rule.word) continue;
    Operation made;
    made.kind = rule.kind;
    if (rule.paths > 0) in >> made.a;
    if (rule.paths > 1) in >> made.b;
    if (rule.numbers > 0) in >> made.n;
    if (rule.numbers > 1) in >> made.m;
    if (!in.fail()) return made;
  }
  throw std::invalid_argument("no operation: " + text);
}

inline std::string to_text(const Operation& operation) {
  std::ostringstream out;
  for (const Grammar& rule : grammar) {
    if (operation.kind != rule.kind) continue;
    out << rule.word;
    if (rule.paths > 0) out << ' ' << operation.a;
    if (rule.paths > 1) out << ' ' << operation.b;
    if (rule.numbers > 0) out << ' ' << operation.n;
    if (rule.numbers > 1) out << ' ' << operation.m;
  }
  return out.str();
}

using Operations = std::vector<Operation>;

/// Separated by semicolons.
inline Operations parse_operations(const std::string& text) {
  Operations made;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ';');) made.push_back(parse_operation(part));
  return made;
}
inline std::string to_text(const Operations& operations) {
  std::string text;
  for (const Operation& operation : operations)
    text += (text.empty() ? "" : "; ") + to_text(operation);
  return text;
}

/// The file that an operation is about, if there is one.
inline std::optional<size_t> subject_of(const Model& model, const Operation& operation) {
  return operation.kind == Operation::Kind::write_open ? model.open : model.find_id(operation.a);
}

/// True if the operation makes sense there, as the VFS would let it through.
inline bool applies(const Model& model, const Operation& operation) {
  using Kind = Operation::Kind;
  const auto thing = [&](std::string_view path) -> const Thing* {
    const auto id = model.find_id(path);
    return id ? &model.things[*id] : nullptr;
  };
  const auto is_new = [&](std::string_view path) {
    const Thing* directory = thing(directory_of(path));
    return directory != nullptr && directory->type == type_directory && thing(path) == nullptr;
  };
  const Thing* a = operation.a.empty() ? nullptr : thing(operation.a);
  const Thing* b = operation.b.empty() ? nullptr : thing(operation.b);
  const bool file = a != nullptr && a->type == type_regular;
  switch (operation.kind) {
    case Kind::create:
    case Kind::mkdir:
    case Kind::symlink:
      return is_new(operation.a);
    case Kind::link:
      return a != nullptr && a->type != type_directory && is_new(operation.b);
    case Kind::unlink:
      return a != nullptr && a->type != type_directory;
    case Kind::detach:
      return file && a->links == 1 && !model.open;
    case Kind::rmdir:
      return a != nullptr && a->type == type_directory && a->names.empty();
    case Kind::rename:
    case Kind::exchange: {
      if (a == nullptr || a == b || (operation.b + '/').starts_with(operation.a + '/') ||
          (operation.a + '/').starts_with(operation.b + '/'))
        return false;
      if (operation.kind == Kind::exchange) return b != nullptr;
      if (b == nullptr) return is_new(operation.b);
      return (a->type == type_directory) == (b->type == type_directory) && b->names.empty();
    }
    case Kind::write:
    case Kind::truncate:
    case Kind::punch:
    case Kind::prune:
    case Kind::fsync:
      return file;
    case Kind::chmod:
    case Kind::setxattr:
      return a != nullptr && a->type != type_link;
    case Kind::removexattr:
      return a != nullptr && !a->xattrs.empty();
    case Kind::write_open:
    case Kind::close:
      return model.open.has_value();
    case Kind::remount:
    case Kind::move:
    case Kind::mkfs:
      return !model.open;
    case Kind::none:
      break;
  }
  return false;
}

inline void write_page(Model& model, Thing& file, Index index) {
  const u64 stamp = ++model.stamp;
  const auto page = file.pages.find(index);
  if (page == file.pages.end())
    file.pages[index] = {stamp, stamp};
  else
    page->second.head = stamp;  // part of a page that is there is overwritten
  file.size = std::max(file.size, (index + 1) * frame_bytes);
}

/// Does it to a model to which it applies.
inline void apply(Model& model, const Operation& operation) {
  using Kind = Operation::Kind;
  const auto names = [&](const std::string& path) -> auto& {
    return model.find(directory_of(path))->names;
  };
  const auto add = [&](u32 type) -> Thing& {
    const size_t id = model.things.size();
    Thing made;
    made.type = type;
    made.mode = type == type_directory ? 0755 : 0644;
    made.owner = static_cast<u32>(++model.stamp);
    made.links = 1;
    model.things.push_back(made);
    names(operation.a)[std::string(name_of(operation.a))] = id;
    return model.things.back();
  };
  const auto take = [&](const std::string& path) {
    auto& directory = names(path);
    const auto name = directory.find(name_of(path));
    const size_t id = name->second;
    directory.erase(name);
    return id;
  };
  const auto put = [&](const std::string& path, size_t id) {
    names(path)[std::string(name_of(path))] = id;
  };
  Thing* const file = operation.a.empty() ? nullptr : model.find(operation.a);
  switch (operation.kind) {
    case Kind::create:
      add(type_regular);
      break;
    case Kind::mkdir:
      add(type_directory);
      break;
    case Kind::symlink: {
      Thing& made = add(type_link);
      made.target = link_target(model.stamp);
      made.size = made.target.size();
      break;
    }
    case Kind::link:
      file->links++;
      put(operation.b, *model.find_id(operation.a));
      break;
    case Kind::unlink:
    case Kind::rmdir:
      model.things[take(operation.a)].links--;
      break;
    case Kind::detach:
      model.open = take(operation.a);
      model.things[*model.open].links--;
      break;
    case Kind::rename: {
      const auto replaced = model.find_id(operation.b);
      if (replaced) model.things[*replaced].links--;
      put(operation.b, take(operation.a));
      break;
    }
    case Kind::exchange: {
      const size_t first = take(operation.a), second = take(operation.b);
      put(operation.a, second);
      put(operation.b, first);
      break;
    }
    case Kind::write:
      write_page(model, *file, operation.n);
      break;
    case Kind::write_open:
      write_page(model, model.things[*model.open], operation.n);
      break;
    case Kind::close:
      model.open.reset();
      break;
    case Kind::truncate:
      file->size = operation.n * frame_bytes;
      file->pages.erase(file->pages.lower_bound(operation.n), file->pages.end());
      break;
    case Kind::punch:
      file->pages.erase(file->pages.lower_bound(operation.n),
                        file->pages.lower_bound(operation.n + operation.m));
      break;
    case Kind::chmod:
      file->mode = static_cast<u32>(operation.n);
      break;
    case Kind::setxattr:
      file->xattrs = make_xattrs(operation.n);
      break;
    case Kind::removexattr:
      file->xattrs.clear();
      break;
    case Kind::mkfs:
      model.reset();
      break;
    case Kind::prune:
    case Kind::fsync:
    case Kind::remount:
    case Kind::move:
    case Kind::none:
      break;
  }
}

}  // namespace morsel::sim
