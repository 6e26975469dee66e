// SPDX-License-Identifier: MIT
#include "findings.h"

#include <array>
#include <cstdio>

#include "text.h"

namespace morsel::pool {
namespace {

std::string hexadecimal(u64 value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%#lx", value);
  return text.data();
}

const char* word_for(Outcome outcome) {
  switch (outcome) {
    case Outcome::left:
      return "left";
    case Outcome::mended:
      return "mended";
    case Outcome::repaired:
      return "repaired";
  }
  return "";
}

}  // namespace

Words words_for(const Found& found) {
  using Kind = Finding::Kind;
  const bool name = !found.name.empty();
  switch (found.finding.kind) {
    case Kind::half_leaf:
      return {"half_leaf", "a page or table that only one of the twins has",
              "cleared; it was never complete"};
    case Kind::beyond_end:
      return {"beyond_end", "a page beyond the end of the file", "cleared"};
    case Kind::flags_set:
      return {"flags_set", "accessed or dirty bits that were changed", "put right"};
    case Kind::bad_root:
      return {"bad_root", "the root of a page table leads nowhere",
              "cleared, and the other twin's; the contents of the file are lost"};
    case Kind::bad_entry:
      return {"bad_entry", "a page-table entry that can't be",
              "cleared, and the other twin's; the pages behind it are lost"};
    case Kind::bad_leaf:
      return {"bad_leaf", "a page in a page-table entry that can't be; the other twin has it right",
              "taken from there; nothing is lost"};
    case Kind::frame_twice:
      if (name)
        return {"frame_twice", "the name leads to a frame that something else has",
                "removed; the file is lost, unless it has other names"};
      return {"frame_twice", "leads to a frame that something else has",
              "cleared, and the other twin's; the pages behind it are lost"};
    case Kind::twins_differ:
      return {"twins_differ", "a page that is one frame for readers and another for writers",
              "cleared; the page is lost"};
    case Kind::bad_inode:
      if (name)
        return {"bad_inode", "the name leads to a frame that is no inode",
                "removed; the file is lost"};
      return {"bad_inode", "the inode of the root directory is damaged",
              "made anew, with its names, for root alone (mode 0700)"};
    case Kind::bad_attributes:
      return {"bad_attributes", "both copies of the attributes are damaged",
              "made anew: root's own, the size that of all its pages; no data is lost"};
    case Kind::bad_word:
      return {"bad_word", "has what its type does not have", "cleared"};
    case Kind::bad_link:
      if (name)
        return {"bad_link", "the name leads to a symbolic link without a target", "removed"};
      return {"bad_link", "the target of the symbolic link is damaged",
              "the link is removed with its names"};
    case Kind::bad_xattrs:
      return {"bad_xattrs", "the extended attributes are damaged", "cleared; all of them are lost"};
    case Kind::bad_names:
      return {"bad_names", "the list of names goes on in a frame that is none of names",
              "cut off; the names behind are lost"};
    case Kind::bad_name:
      return {"bad_name", "a name that is damaged or leads nowhere",
              "removed; the file is lost, unless it has other names"};
    case Kind::name_twice:
      return {"name_twice", "the directory has this name twice",
              "removed the second time, with what it led to"};
    case Kind::directory_twice:
      return {"directory_twice", "a second name of a directory", "removed"};
  }
  return {"unknown", "", ""};
}

std::string subject(const Found& found, const PoolWalker& walker) {
  std::string path = walker.path(found.finding.inode);
  if (path.empty()) path = "inode " + std::to_string(found.finding.inode);
  if (found.name.empty()) return path;
  return path + (path.ends_with('/') ? "" : "/") + found.name;
}

std::string line_for(const Found& found, const PoolWalker& walker, Outcome outcome, bool would) {
  const Words words = words_for(found);
  const bool damage = is_damage(found.finding.kind);
  std::string line = tool::printable(subject(found, walker)) + ": " + words.what + " (at " +
                     hexadecimal(found.finding.place) + ": " + hexadecimal(found.finding.value) +
                     ")";
  if (would)
    line += std::string(damage ? "; a repair would: " : "; the next mount will: ") + words.repair;
  else if (outcome == Outcome::left)
    line += "; left as it is";
  else
    line += std::string("; ") + words.repair;
  return line;
}

nlohmann::json to_json(const Found& found, const PoolWalker& walker, Outcome outcome) {
  const Finding& finding = found.finding;
  nlohmann::json json{{"kind", words_for(found).id},   {"damage", is_damage(finding.kind)},
                      {"what", words_for(found).what}, {"inode", finding.inode},
                      {"place", finding.place},        {"value", finding.value},
                      {"outcome", word_for(outcome)}};
  const std::string path = subject(found, walker);
  if (path.starts_with('/')) json["path"] = path;
  if (outcome != Outcome::left) json["done"] = words_for(found).repair;
  return json;
}

}  // namespace morsel::pool
