// SPDX-License-Identifier: MIT
// Files into the cache. Until an object is published it has no name anywhere: whoever is killed
// leaves nothing.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <memory>

#include "cache.h"
#include "error.h"
#include "shards.h"

namespace morsel {

namespace {

/// A model is loaded as one: its parts share progress, and what must not go out for them.
struct Model {
  std::vector<Source> parts;
  std::set<std::string> entries;
  uint64_t bytes = 0, done = 0;
};

Result<Model> open_model(const std::string& path) {
  Model model;
  for (const std::string& each : shards_of(path)) {
    auto source = Source::open(each);
    if (!source) return source.error();
    model.entries.insert(source->entry());
    model.bytes += source->bytes();
    model.parts.push_back(std::move(*source));
  }
  return model;
}

class Loader {
 public:
  Loader(Model& model, const LoadOptions& options) : model_(model), options_(options) {}

  // Before anything is loaded: all of the model has to fit.
  Status fit_limit() {
    uint64_t missing = 0;
    for (const Source& part : model_.parts)
      if (!find(part)) missing += part.bytes();
    if (missing == 0) return Done{};
    if (model_.bytes > options_.limit)
      return Error{-ENOSPC, model_.parts.front().path() + ": " + amount(model_.bytes) +
                                " are more than the cache may have (" + amount(options_.limit) +
                                "); --limit or MORSEL_CACHE_LIMIT allow more"};
    auto removed = shrink_cache(options_.limit - missing, model_.entries);
    if (!removed)
      return Error{removed.error().code, model_.parts.front().path() + ": no room for " +
                                             amount(missing) + ": " + removed.error().text +
                                             "; --limit or MORSEL_CACHE_LIMIT allow more"};
    say_removed(*removed);
    return Done{};
  }

  Result<LoadedFile> load(const Source& source) {
    if (auto there = find(source)) return std::move(*there);
    source.settle();
    if (options_.backend != MORSEL_ANY) return load_with(options_.backend, source);
    Error last{-EOPNOTSUPP, {}};
    for (const morsel_backend backend : {MORSEL_MORSELFS, MORSEL_HUGETLB, MORSEL_MEMFD}) {
      auto loaded = load_with(backend, source);
      if (loaded || !is_lack(loaded.error())) return loaded;
      last = loaded.error();
      if (backend != MORSEL_MEMFD) remark("falls back: " + last.text);
    }
    return last;
  }

 private:
  // Whether another backend may do.
  static bool is_lack(const Error& error) {
    return error.code == -ENOSPC || error.code == -ENOMEM || error.code == -EOPNOTSUPP ||
           error.code == -EACCES;
  }

  // Nothing, if there is no copy yet.
  static std::unique_ptr<LoadedFile> find(const Source& source) {
    auto copy = find_copy(source.state());
    if (!copy) return {};
    const timespec used[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    futimens((*copy)->fd.get(), used);
    return std::make_unique<LoadedFile>(
        LoadedFile{source.path(), source.bytes(), (*copy)->backend->id, true});
  }

  Result<LoadedFile> load_with(morsel_backend backend, const Source& source) {
    auto store = store_for(backend);
    if (!store) return named(backend, store.error());
    auto claim = (*store)->begin(source.entry(), false);
    if (claim && claim->state == Claim::State::others) {
      const std::string who =
          claim->pid == 0 ? "another process" : "process " + std::to_string(claim->pid);
      remark(source.path() + ": " + who + " is loading it already; waiting for that");
      claim = (*store)->begin(source.entry(), true);
    }
    if (!claim) return named(backend, claim.error());
    // Another one may have been quicker.
    if (auto there = find(source)) return std::move(*there);
    auto loaded = copy(backend, source);
    return loaded ? loaded : named(backend, loaded.error());
  }

  Result<LoadedFile> copy(morsel_backend backend, const Source& source) {
    auto removed = make_room(backend, source.bytes(), model_.entries);
    if (!removed) return removed.error();
    say_removed(*removed);
    morsel_options wanted{};
    wanted.struct_size = sizeof wanted;
    wanted.backend = backend;
    morsel_object* made = nullptr;
    morsel_error why;
    if (morsel_create(source.bytes(), &wanted, &made, &why) != 0) return Error{why.code, why.text};
    const Handle object(made);
    if (Status status = fill(*object, source); !status) return status.error();
    if (morsel_seal(object.get(), &why) != 0) return Error{why.code, why.text};
    if (Status status = publish(*object, source); !status) return status.error();
    return LoadedFile{source.path(), source.bytes(), backend, false};
  }

  void say_removed(const std::vector<CachedFile>& files) {
    for (const CachedFile& file : files)
      remark(file.attributes.source + " goes out of the cache to make room");
  }

  Status fill(morsel_object& object, const Source& source) {
    struct Watch {
      Loader* loader;
      const Source* source;
      Error error;
    } watch{this, &source, {}};
    auto look = [](uint64_t done, uint64_t, void* context) -> int {
      auto* self = static_cast<Watch*>(context);
      const Model& model = self->loader->model_;
      if (const auto& progress = self->loader->options_.progress)
        progress(model.done + done, model.bytes);
      const Status status = self->source->unchanged();
      return status ? 0 : 1;
    };
    morsel_error why;
    const int failed = morsel_populate(&object, source.fd(), 0, source.bytes(), look, &watch, &why);
    // Whatever went wrong: that is why.
    if (Status status = source.unchanged(); !status) return status;
    if (failed != 0) return Error{why.code, source.path() + ": " + why.text};
    model_.done += source.bytes();
    return Done{};
  }

  Status publish(const morsel_object& object, const Source& source) {
    const int fd = object.fd.get();
    const Rights rights = rights_for_copy(source);
    if (geteuid() == 0 && fchown(fd, rights.uid, rights.gid) != 0)
      return system_error("the owner of the copy");
    const timespec times[2] = {{0, UTIME_NOW}, source.state().st_mtim};
    if (futimens(fd, times) != 0) return system_error("the time of the copy");

    Attributes attributes;
    attributes.source = source.path();
    if (model_.parts.size() > 1) attributes.model = model_.parts.front().path();
    attributes.loaded_at = time(nullptr);
    attributes.loaded_by = geteuid();
    auto store = store_for(object.backend->id, fd);
    if (!store) return store.error();
    // Others may have loaded meanwhile.
    auto removed = shrink_cache(options_.limit - source.bytes(), model_.entries);
    if (!removed) return removed.error();
    say_removed(*removed);
    // What has this name already is no good copy, or find() had found it.
    return (*store)->publish({source.entry(), fd, object.backend->id, source.bytes(), rights.mode,
                              attributes.text(), true});
  }

  // "hugetlb: TEXT", as the library itself says it where it knows.
  static Error named(morsel_backend backend, const Error& error) {
    const std::string name = std::string(morsel_backend_name(backend)) + ": ";
    return error.text.starts_with(name) ? error : Error{error.code, name + error.text};
  }

  void remark(const std::string& text) const {
    if (options_.remark) options_.remark(text);
  }

  Model& model_;
  const LoadOptions& options_;
};

// So that half a model takes no memory.
void take_out(const Model& model, const std::vector<LoadedFile>& loaded) {
  for (size_t i = 0; i < loaded.size(); ++i) {
    if (loaded[i].was_there) continue;
    auto files = list_files(model.parts[i].entry());
    if (!files) continue;
    for (const CachedFile& file : *files)
      if (file.own) (void)remove_file(file, true);
  }
}

}  // namespace

Result<std::vector<LoadedFile>> load(const std::string& path, const LoadOptions& options) {
  auto model = open_model(path);
  if (!model) return model.error();
  Loader loader(*model, options);
  if (Status status = loader.fit_limit(); !status) return status.error();
  std::vector<LoadedFile> loaded;
  for (const Source& part : model->parts) {
    auto file = loader.load(part);
    if (!file) {
      take_out(*model, loaded);
      return file.error();
    }
    if (file->was_there) model->done += part.bytes();
    loaded.push_back(std::move(*file));
  }
  return loaded;
}

}  // namespace morsel
