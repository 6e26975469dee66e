// SPDX-License-Identifier: MIT
// What is there, and which of it a user means.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cache.h"

namespace morsel::tool {

/// A named object of a user.
struct NamedObject {
  Entry entry;
  std::string store;
  bool own;

  [[nodiscard]] std::string name() const { return entry.name.substr(prefix_of_names.size()); }
};

Result<std::vector<NamedObject>> list_named();

/// What goes by a path or a name: all copies of the file, fresh and stale, and if it is a part of a
/// model, of all its parts; else the objects of that name. Nothing found is no error.
struct Found {
  std::vector<CachedFile> files;
  std::vector<NamedObject> named;
  /// Parts of the model that have no fresh copy.
  std::vector<std::string> lacking;
};
Result<Found> find(const std::string& what);

/// "fresh", "stale", "gone", "unknown".
const char* word_for(Freshness freshness);

/// The fields that --json shows of either.
nlohmann::json to_json(const CachedFile& file);
nlohmann::json to_json(const NamedObject& object);

}  // namespace morsel::tool
