// SPDX-License-Identifier: MIT
// morsel rm: files or objects out of memory.
#include <memory>

#include "command.h"
#include "find.h"
#include "text.h"

namespace morsel::tool {

namespace {

struct Options {
  std::vector<std::string> what;
  bool force = false;
};

void report(const Status& status, const std::string& name, nlohmann::json entry, Context& context) {
  if (!status && status.error().code == -EBUSY)
    return context.fail(Exit::in_use, name +
                                          " is in use; --force takes it out all the same, and "
                                          "who uses it keeps it as long as he does");
  if (!status) return context.fail(exit_for(status.error()), name + ": " + status.error().text);
  context.document["removed"].push_back(std::move(entry));
  if (!context.quiet) context.print("removed: " + printable(name));
}

Status remove_named_of(const NamedObject& object, bool if_unused) {
  if (!object.own) return Error{-EACCES, "it is root's: only root can remove it"};
  for (const auto& store : stores())
    if (store->directory == object.store) return store->remove(object.entry.name, if_unused);
  return Error{-ENOENT, "its store is gone"};
}

void remove_one(const std::string& what, bool force, Context& context) {
  auto found = find(what);
  if (!found) return context.fail(found.error());
  if (found->files.empty() && found->named.empty())
    return context.fail(Exit::not_cached, what + " is not in the cache; `morsel ls` shows what is");
  for (const CachedFile& file : found->files)
    report(remove_file(file, !force), file.attributes.source, to_json(file), context);
  for (const NamedObject& object : found->named)
    report(remove_named_of(object, !force), object.name(), to_json(object), context);
}

}  // namespace

void add_rm(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("rm", "takes files or objects out of memory");
  command->add_option("WHAT", options->what, "a file's path, or an object's name")->required();
  command->add_flag("-f,--force", options->force, "also what is in use");
  command->callback([options, &context] {
    context.document["removed"] = nlohmann::json::array();
    for (const std::string& what : options->what) remove_one(what, options->force, context);
  });
}

}  // namespace morsel::tool
