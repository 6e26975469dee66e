// SPDX-License-Identifier: MIT
// Room for files: what goes out of the cache, and in which order.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <optional>

#include "cache.h"
#include "error.h"
#include "size.h"

namespace morsel {

namespace {

/// Files that go together: a model, or a file by itself.
struct Group {
  std::vector<CachedFile> files;
  uint64_t bytes = 0;
  int64_t last_use = 0;
  bool stays = false, stale = false;
};

using Which = std::function<bool(const CachedFile&)>;

// In the order in which they go; without those that stay.
std::vector<Group> groups_of(const std::vector<CachedFile>& files, const Which& counts,
                             const std::set<std::string>& keep) {
  std::map<std::string, Group> groups;
  for (const CachedFile& file : files) {
    if (!counts(file)) continue;
    const std::string& model = file.attributes.model;
    Group& group = groups[file.store + '\0' + (model.empty() ? file.entry.name : model)];
    group.files.push_back(file);
    group.bytes += file.entry.bytes;
    group.last_use = std::max(group.last_use, file.entry.atime_ns);
    group.stays |= file.entry.in_use || keep.contains(file.entry.name);
    group.stale |= file.freshness == Freshness::changed || file.freshness == Freshness::gone;
  }
  std::vector<Group> order;
  for (auto& [name, group] : groups)
    if (!group.stays) order.push_back(std::move(group));
  std::sort(order.begin(), order.end(), [](const Group& a, const Group& b) {
    return a.stale != b.stale ? a.stale : a.last_use < b.last_use;
  });
  return order;
}

// Until so many bytes are out. What has come into use meanwhile stays.
Result<std::vector<CachedFile>> remove_bytes(uint64_t wanted, const std::vector<Group>& groups) {
  std::vector<CachedFile> removed;
  uint64_t bytes = 0;
  for (const Group& group : groups) {
    if (bytes >= wanted) return removed;
    for (const CachedFile& file : group.files) {
      Status status = remove_file(file, true);
      if (!status && status.error().code != -EBUSY && status.error().code != -ENOENT)
        return status.error();
      if (!status) continue;
      bytes += file.entry.bytes;
      removed.push_back(file);
    }
  }
  if (bytes >= wanted) return removed;
  return Error{-ENOSPC, "files of the cache came into use just now; try again"};
}

uint64_t sum(const std::vector<Group>& groups) {
  uint64_t bytes = 0;
  for (const Group& group : groups) bytes += group.bytes;
  return bytes;
}

bool is_own(const CachedFile& file) { return file.own; }

uint64_t bytes_of(const std::vector<CachedFile>& files) {
  uint64_t bytes = 0;
  for (const CachedFile& file : files)
    if (file.own) bytes += file.entry.bytes;
  return bytes;
}

// The largest object that can be made with this backend.
uint64_t largest(morsel_backend backend, uint64_t most) {
  uint64_t possible = 0;
  while (possible < most) {
    const uint64_t middle = possible + (most - possible + 1) / 2;
    if (morsel_backend_probe(backend, middle, nullptr) == 0)
      possible = middle;
    else
      most = middle - 1;
  }
  return possible;
}

}  // namespace

Result<uint64_t> cache_limit() {
  if (const char* said = secure_getenv("MORSEL_CACHE_LIMIT"); said && *said) {
    auto limit = parse_size(said);
    if (!limit) return Error{limit.error().code, "MORSEL_CACHE_LIMIT: " + limit.error().text};
    return limit;
  }
  return uint64_t(sysconf(_SC_PHYS_PAGES)) * uint64_t(sysconf(_SC_PAGESIZE)) / 2;
}

Result<uint64_t> cache_bytes() {
  auto files = list_files();
  if (!files) return files.error();
  return bytes_of(*files);
}

Result<std::vector<CachedFile>> shrink_cache(uint64_t bytes, const std::set<std::string>& keep) {
  auto files = list_files();
  if (!files) return files.error();
  const uint64_t now = bytes_of(*files);
  if (now <= bytes) return std::vector<CachedFile>();
  const std::vector<Group> groups = groups_of(*files, is_own, keep);
  if (sum(groups) < now - bytes)
    return Error{-ENOSPC, "of the " + amount(now) + " in the cache " + amount(now - sum(groups)) +
                              " are in use or wanted, and no more than " + amount(bytes) +
                              " may stay"};
  return remove_bytes(now - bytes, groups);
}

Result<std::vector<CachedFile>> make_room(morsel_backend backend, uint64_t bytes,
                                          const std::set<std::string>& keep) {
  morsel_error why;
  if (morsel_backend_probe(backend, bytes, &why) == 0) return std::vector<CachedFile>();
  const Error lack{why.code, why.text};
  if (lack.code != -ENOSPC && lack.code != -ENOMEM) return lack;
  auto files = list_files();
  if (!files) return files.error();
  const std::vector<Group> groups = groups_of(
      *files, [&](const CachedFile& file) { return file.own && file.entry.backend == backend; },
      keep);
  const uint64_t missing = bytes - largest(backend, bytes);
  if (sum(groups) < missing) return lack;
  return remove_bytes(missing, groups);
}

}  // namespace morsel
