// SPDX-License-Identifier: MIT
// Files in memory: an entry of a store for each, named by the state that the file was in.
#pragma once

#include <morsel/morsel.h>

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "attributes.h"
#include "descriptor.h"
#include "object.h"
#include "result.h"
#include "source.h"
#include "store.h"

namespace morsel {

// --- what is there ------------------------------------------------------------------------------

/// The copy of the file in this state. -ENOENT: there is none that can be relied on.
Result<Handle> find_copy(const struct stat& state);
/// NULL where there is none, or a holder would have to be asked, who might not answer.
Handle find_copy_at_once(const struct stat& state);

enum class Freshness {
  fresh,
  changed,  /// the source has another state now
  gone,     /// there is no file at the source's path
  unknown,  /// this user may not look at it
};

struct CachedFile {
  Entry entry;
  Attributes attributes;
  Freshness freshness;
  std::string store;  /// its directory
  bool own;           /// in a store of this user
};

/// All that this user may read; those of `prefix`.
Result<std::vector<CachedFile>> list_files(const std::string& prefix = prefix_of_files);

/// -EBUSY, if it is used and `if_unused`.
Status remove_file(const CachedFile& file, bool if_unused);

// --- what goes in -------------------------------------------------------------------------------

struct LoadOptions {
  morsel_backend backend = MORSEL_ANY;
  uint64_t limit = 0;  /// bytes that the cache may have afterwards
  /// Called now and then.
  std::function<void(uint64_t done, uint64_t total)> progress;
  /// Something that the user should know.
  std::function<void(const std::string&)> remark;
};

struct LoadedFile {
  std::string path;
  uint64_t bytes;
  morsel_backend backend;
  bool was_there;
};

/// The file, and if it is a part of a model (see shards_of) all others of that. On failure nothing
/// that was not there before. -ESTALE: it was changed meanwhile; -ENOSPC, -ENOMEM.
Result<std::vector<LoadedFile>> load(const std::string& path, const LoadOptions& options);

// --- what goes out ------------------------------------------------------------------------------

/// MORSEL_CACHE_LIMIT, or half of this machine's memory. -EINVAL.
Result<uint64_t> cache_limit();

/// Bytes of cached files in this user's stores.
Result<uint64_t> cache_bytes();

/// Takes files out until there are at most so many bytes: stale ones first, then the least recently
/// used; models as a whole; nothing that is used, and none of `keep`. Those removed, in order;
/// -ENOSPC: that many can't be removed, then none is.
Result<std::vector<CachedFile>> shrink_cache(uint64_t bytes, const std::set<std::string>& keep);

/// The same until an object of so many bytes can be made with this backend.
Result<std::vector<CachedFile>> make_room(morsel_backend backend, uint64_t bytes,
                                          const std::set<std::string>& keep);

}  // namespace morsel
