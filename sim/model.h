// SPDX-License-Identifier: MIT
//
// What a pool should hold, as a user sees it: no frame, no table, no log. Times are left out.
#pragma once

#include <deque>
#include <optional>

#include "core.h"

namespace morsel::sim {

/// A page's contents: its first three lines hold `head` in every word, the rest `body`.
struct Page {
  u64 head;
  u64 body;
  bool operator==(const Page&) const = default;
};
inline constexpr u64 head_bytes = 3 * line_bytes;
inline constexpr u64 head_words = head_bytes / sizeof(u64);

struct Thing {
  u32 type = 0;
  u32 mode = 0;
  u32 owner = 0;  ///< another one for each thing, so that no two look the same
  u64 size = 0;
  unsigned links = 0;
  std::string target;  ///< of a symbolic link
  std::string xattrs;  ///< as they lie in a payload
  std::map<Index, Page> pages;
  std::map<std::string, size_t, std::less<>> names;  ///< of a directory
};

class Model {
 public:
  static constexpr size_t root = 0;

  Model() { reset(); }
  /// An empty pool, another one.
  void reset() {
    things.assign(1, {});
    things[root].type = type_directory;
    things[root].mode = 0755;
    things[root].owner = static_cast<u32>(++stamp);
    open.reset();
    identity = stamp;
  }

  Thing* find(std::string_view path) {
    const auto id = find_id(path);
    return id ? &things[*id] : nullptr;
  }
  std::optional<size_t> find_id(std::string_view path) const {
    size_t at = root;
    while (!path.empty()) {
      path.remove_prefix(1);
      const std::string_view name = path.substr(0, path.find('/'));
      path.remove_prefix(name.size());
      if (name.empty()) break;
      const auto found = things[at].names.find(name);
      if (found == things[at].names.end()) return {};
      at = found->second;
    }
    return at;
  }

  std::deque<Thing> things;    ///< which stay where they are when there are more
  std::optional<size_t> open;  ///< an unlinked file that is still open
  u64 stamp = 0;               ///< the last value that something new was told apart by
  u64 identity = 0;            ///< of the pool, for its UUID
};

inline std::string_view directory_of(std::string_view path) {
  return path.substr(0, path.rfind('/'));
}
inline std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

/// One attribute, as long as a line and a half.
inline std::string make_xattrs(u64 value) {
  const std::string name = "user.x", bytes(80 + value % 16, static_cast<char>('a' + value % 26));
  std::string list;
  for (const u64 length : {name.size(), bytes.size()}) {
    list += static_cast<char>(length % 256);
    list += static_cast<char>(length / 256);
  }
  return list + name + bytes;
}

inline std::string link_target(u64 stamp) { return std::string(90, 't') + std::to_string(stamp); }

}  // namespace morsel::sim
