// SPDX-License-Identifier: MIT
#include "target.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "find.h"
#include "store.h"

namespace morsel::tool {

namespace {

void add(const Entry& entry, std::string name, nlohmann::json shown, Context& context,
         std::vector<Target>& all) {
  auto opened = open_named(entry.name, MORSEL_READ);
  const Backend* backend = find_backend(entry.backend);
  if (!opened)
    context.fail(exit_for(opened.error()), name + ": " + opened.error().text);
  else if (backend)
    all.push_back({std::move(name), std::move(opened->file), backend, std::move(shown)});
}

}  // namespace

Result<Target> file_on_morselfs(const std::string& path) {
  struct stat state;
  struct statfs fs;
  // Looked at before it is opened: a pipe or a device might do something then.
  if (stat(path.c_str(), &state) != 0) return system_error(path);
  if (statfs(path.c_str(), &fs) != 0) return system_error(path);
  if (!S_ISREG(state.st_mode) || !morselfs_backend.recognises(-1, fs))
    return Error{-EINVAL, path + " is no regular file on a morselfs"};
  Descriptor file(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!file) file = Descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return system_error(path);
  nlohmann::json shown = {{"kind", "plain"},
                          {"path", path},
                          {"backend", morselfs_backend.name},
                          {"bytes", state.st_size},
                          {"mode", state.st_mode & 07777},
                          {"uid", state.st_uid},
                          {"gid", state.st_gid}};
  return Target{path, std::move(file), &morselfs_backend, std::move(shown)};
}

std::vector<Target> targets(const std::string& what, Context& context) {
  std::vector<Target> all;
  auto plain = file_on_morselfs(what);
  if (plain) {
    all.push_back(std::move(*plain));
    return all;
  }
  auto found = find(what);
  if (!found) {
    context.fail(found.error());
    return all;
  }
  for (const CachedFile& file : found->files)
    add(file.entry, file.attributes.source, to_json(file), context, all);
  for (const NamedObject& object : found->named)
    add(object.entry, object.name(), to_json(object), context, all);
  if (found->files.empty() && found->named.empty()) {
    if (plain.error().code == -EACCES)
      context.fail(plain.error());
    else
      context.fail(Exit::not_cached, what +
                                         " is neither a file on a morselfs nor in the cache; "
                                         "`morsel ls` shows what is there");
  }
  return all;
}

}  // namespace morsel::tool
