// SPDX-License-Identifier: MIT
#include "named_copies.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <set>

#include "cache.h"
#include "mapping.h"
#include "shards.h"
#include "source.h"

namespace morsel::tool {
namespace {

// As the shim: smaller files it leaves alone, and more copies it does not remember.
constexpr off_t least = off_t{2} << 20;
constexpr size_t most = 64;

/// Of an argument and of what follows its '=', those that are worth a look, with their states.
std::vector<struct stat> files_of(const std::string& argument) {
  std::vector<struct stat> files;
  const size_t equals = argument.find('=');
  for (const size_t start : {size_t{0}, equals == std::string::npos ? equals : equals + 1}) {
    if (start == std::string::npos) continue;
    for (const std::string& path : shards_of(argument.substr(start))) {
      struct stat state;
      if (stat(path.c_str(), &state) != 0 || !S_ISREG(state.st_mode)) break;
      if (state.st_size >= least) files.push_back(state);
    }
  }
  return files;
}

/// Stays open over exec.
std::string keep(Descriptor copy, const struct stat& source) {
  struct stat state;
  if (fstat(copy.get(), &state) != 0 || fcntl(copy.get(), F_SETFD, 0) != 0) return "";
  mark_used(copy.get());
  std::string entry = std::to_string(copy.release());
  for (const uint64_t number :
       {uint64_t(state.st_dev), uint64_t(state.st_ino), uint64_t(source.st_dev),
        uint64_t(source.st_ino), uint64_t(source.st_size), uint64_t(mtime_of(source))})
    entry.append(":").append(std::to_string(number));
  return entry.append(",");
}

}  // namespace

std::string open_named_copies(const std::vector<std::string>& program) {
  std::string list;
  std::set<std::string> seen;
  for (const std::string& argument : program)
    for (const struct stat& source : files_of(argument)) {
      if (seen.size() == most || !seen.insert(entry_of(source)).second) continue;
      if (Handle copy = find_copy_at_once(source)) list += keep(std::move(copy->fd), source);
    }
  return list;
}

}  // namespace morsel::tool
