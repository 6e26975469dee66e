// SPDX-License-Identifier: MIT
#include "find.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "shards.h"

namespace morsel::tool {

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// As the cache writes a path down; also of a file that is gone.
std::string real_path(const std::string& path) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(fs::absolute(path, error), error);
  return error ? path : real.string();
}

json entry_to_json(const Entry& entry, const std::string& store, bool own) {
  return {{"backend", morsel_backend_name(entry.backend)},
          {"bytes", entry.bytes},
          {"mode", entry.mode},
          {"uid", entry.uid},
          {"gid", entry.gid},
          {"in_use", entry.in_use},
          {"last_use_ns", entry.atime_ns},
          {"entry", entry.name},
          {"store", store},
          {"own", own}};
}

}  // namespace

Result<std::vector<NamedObject>> list_named() {
  std::vector<NamedObject> objects;
  for (const auto& store : stores()) {
    auto entries = store->list(prefix_of_names);
    if (!entries && store->own && entries.error().code != -EPERM) return entries.error();
    if (!entries) continue;
    for (Entry& entry : *entries)
      objects.push_back({std::move(entry), store->directory, store->own});
  }
  return objects;
}

Result<Found> find(const std::string& what) {
  Found found;
  std::set<std::string> paths, prefixes, fresh;
  for (const std::string& part : shards_of(what)) {
    paths.insert(real_path(part));
    struct stat state;
    if (stat(part.c_str(), &state) == 0) prefixes.insert(entry_prefix_of(state));
  }
  auto files = list_files();
  if (!files) return files.error();
  for (CachedFile& file : *files) {
    const bool same_file = std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) {
      return file.entry.name.starts_with(prefix);
    });
    if (!same_file && !paths.contains(file.attributes.source)) continue;
    if (file.freshness == Freshness::fresh) fresh.insert(file.attributes.source);
    found.files.push_back(std::move(file));
  }
  if (!found.files.empty() && paths.size() > 1)
    std::set_difference(paths.begin(), paths.end(), fresh.begin(), fresh.end(),
                        std::back_inserter(found.lacking));
  if (!found.files.empty()) return found;

  auto objects = list_named();
  if (!objects) return objects.error();
  for (NamedObject& object : *objects)
    if (object.name() == what) found.named.push_back(std::move(object));
  return found;
}

const char* word_for(Freshness freshness) {
  switch (freshness) {
    case Freshness::fresh:
      return "fresh";
    case Freshness::changed:
      return "stale";
    case Freshness::gone:
      return "gone";
    case Freshness::unknown:
      break;
  }
  return "unknown";
}

json to_json(const CachedFile& file) {
  json all = entry_to_json(file.entry, file.store, file.own);
  all["kind"] = "file";
  all["path"] = file.attributes.source;
  all["state"] = word_for(file.freshness);
  all["loaded_at"] = file.attributes.loaded_at;
  all["loaded_by"] = file.attributes.loaded_by;
  if (!file.attributes.model.empty()) all["model"] = file.attributes.model;
  return all;
}

json to_json(const NamedObject& object) {
  json all = entry_to_json(object.entry, object.store, object.own);
  all["kind"] = "object";
  all["name"] = object.name();
  return all;
}

}  // namespace morsel::tool
