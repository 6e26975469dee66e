// SPDX-License-Identifier: MIT
#include "cache.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace morsel {

namespace {

// Whether it is what its name says. A link of a dead holder may lead anywhere.
bool is_copy(const morsel_object& object, const struct stat& source) {
  struct stat st;
  if (fstat(object.fd.get(), &st) != 0) return false;
  const bool trusted = st.st_uid == 0 || st.st_uid == geteuid() || st.st_uid == source.st_uid;
  return trusted && object.backend->is_sealed(object.fd.get()) &&
         uint64_t(st.st_size) == object.backend->rounded(uint64_t(source.st_size)) &&
         mtime_of(st) == mtime_of(source);
}

// NULL if it is not.
Handle adopt_copy(Opened opened, const struct stat& source) {
  auto object = adopt(std::move(opened.file), opened.tables_kept);
  return object && is_copy(**object, source) ? std::move(*object) : Handle();
}

Freshness freshness_of(const Entry& entry, const Attributes& attributes) {
  struct stat now;
  if (attributes.source.empty()) return Freshness::unknown;
  if (stat(attributes.source.c_str(), &now) == 0)
    return entry_of(now) == entry.name ? Freshness::fresh : Freshness::changed;
  return errno == ENOENT || errno == ENOTDIR ? Freshness::gone : Freshness::unknown;
}

}  // namespace

Handle find_copy_at_once(const struct stat& state) {
  const std::string name = entry_of(state);
  for (const auto& store : stores()) {
    Opened opened = store->open_at_once(name);
    if (!opened.file) continue;
    if (Handle object = adopt_copy(std::move(opened), state)) return object;
  }
  return {};
}

Result<Handle> find_copy(const struct stat& state) {
  Error last{-ENOENT, "the file is not in the cache"};
  const std::string name = entry_of(state);
  for (const auto& store : stores()) {
    auto opened = store->open(name, MORSEL_READ);
    if (!opened) {
      if (opened.error().code != -ENOENT) last = opened.error();
      continue;
    }
    if (Handle object = adopt_copy(std::move(*opened), state)) return object;
  }
  return last;
}

Result<std::vector<CachedFile>> list_files(const std::string& prefix) {
  std::vector<CachedFile> files;
  for (const auto& store : stores()) {
    auto entries = store->list(prefix);
    // A store that can't be trusted is none.
    if (!entries && store->own && entries.error().code != -EPERM) return entries.error();
    if (!entries) continue;
    for (Entry& entry : *entries) {
      Attributes attributes = Attributes::parse(entry.attributes);
      const Freshness freshness = freshness_of(entry, attributes);
      files.push_back(
          {std::move(entry), std::move(attributes), freshness, store->directory, store->own});
    }
  }
  return files;
}

Status remove_file(const CachedFile& file, bool if_unused) {
  if (!file.own) return Error{-EACCES, "the copy is root's: only root can take it out"};
  for (const auto& store : stores())
    if (store->directory == file.store) return store->remove(file.entry.name, if_unused);
  return Error{-ENOENT, "the store " + file.store + " is gone"};
}

}  // namespace morsel
