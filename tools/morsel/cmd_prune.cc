// SPDX-License-Identifier: MIT
// morsel prune: out goes what is stale, or the least recently used.
#include <memory>

#include "cache.h"
#include "command.h"
#include "find.h"
#include "size.h"
#include "text.h"

namespace morsel::tool {

namespace {

struct Options {
  std::string to;
  bool all = false;
};

void say_removed(const std::vector<CachedFile>& files, Context& context) {
  for (const CachedFile& file : files) {
    context.document["removed"].push_back(to_json(file));
    if (!context.quiet) context.print("removed: " + printable(file.attributes.source));
  }
}

bool is_stale(const CachedFile& file) {
  return file.freshness == Freshness::changed || file.freshness == Freshness::gone;
}

// Those that are not in use. How many bytes of them are.
uint64_t remove_unused(bool all, Context& context) {
  auto files = list_files();
  if (!files) {
    context.fail(files.error());
    return 0;
  }
  uint64_t kept = 0;
  for (const CachedFile& file : *files) {
    if (!file.own || !(all || is_stale(file))) continue;
    Status status = remove_file(file, true);
    if (status)
      say_removed({file}, context);
    else if (status.error().code == -EBUSY)
      kept += file.entry.bytes;
    else if (status.error().code != -ENOENT)
      context.fail(status.error());
  }
  if (kept > 0) context.remark(size_text(kept) + " are in use, and stay");
  return kept;
}

void shrink(const std::string& to, Context& context) {
  auto bytes = parse_size(to);
  if (!bytes) return context.fail(Exit::usage, "--to: " + bytes.error().text);
  auto removed = shrink_cache(*bytes, {});
  if (removed) return say_removed(*removed, context);
  if (removed.error().code != -ENOSPC) return context.fail(removed.error());
  // All that can go, then.
  const uint64_t kept = remove_unused(true, context);
  context.fail(Exit::in_use, "files of " + size_text(kept) +
                                 " are in use, so the cache can't be cut to " + size_text(*bytes) +
                                 " now");
}

void run(const Options& options, Context& context) {
  context.document["removed"] = nlohmann::json::array();
  if (options.to.empty())
    remove_unused(options.all, context);
  else
    shrink(options.to, context);
}

}  // namespace

void add_prune(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("prune", "removes files whose source was changed or is gone");
  CLI::Option* to = command->add_option(
      "--to", options->to,
      "instead: the least recently used, until the cache has this size, e.g. 16G");
  command->add_flag("--all", options->all, "instead: all files")->excludes(to);
  command->footer("What is in use stays, and so do named objects (`morsel rm` removes those).");
  command->callback([options, &context] { run(*options, context); });
}

}  // namespace morsel::tool
