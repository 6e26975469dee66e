// SPDX-License-Identifier: MIT
// morsel load: files into memory.
#include <filesystem>
#include <memory>
#include <optional>

#include "cache.h"
#include "command.h"
#include "progress.h"
#include "size.h"
#include "text.h"

namespace morsel::tool {

namespace {

struct Options {
  std::vector<std::string> files;
  std::string backend = "any";
  std::string limit;
};

Result<uint64_t> limit_of(const Options& options) {
  if (options.limit.empty()) return cache_limit();
  auto limit = parse_size(options.limit);
  if (!limit) return Error{limit.error().code, "--limit: " + limit.error().text};
  return limit;
}

void load_one(const std::string& file, LoadOptions& options, Context& context) {
  std::optional<Progress> progress;
  if (context.progress()) {
    progress.emplace(printable(std::filesystem::path(file).filename()));
    options.progress = [&](uint64_t done, uint64_t total) { progress->show(done, total); };
  }
  options.remark = [&](const std::string& text) {
    if (progress) progress->clear();
    context.remark("morsel: " + printable(text));
  };
  auto loaded = load(file, options);
  progress.reset();
  if (!loaded) return context.fail(loaded.error());
  for (const LoadedFile& each : *loaded) {
    const char* backend = morsel_backend_name(each.backend);
    context.document["files"].push_back({{"path", each.path},
                                         {"bytes", each.bytes},
                                         {"backend", backend},
                                         {"was_there", each.was_there}});
    if (!context.quiet)
      context.print((each.was_there ? "was there: " : "loaded: ") + printable(each.path) + ", " +
                    size_text(each.bytes) + ", " + backend);
  }
}

void run(const Options& options, Context& context) {
  context.document["files"] = nlohmann::json::array();
  LoadOptions load;
  morsel_error why;
  const int backend = morsel_backend_parse(options.backend.c_str(), &why);
  if (backend < 0) return context.fail(Exit::usage, why.text);
  auto limit = limit_of(options);
  if (!limit) return context.fail(Exit::usage, limit.error().text);
  load.backend = morsel_backend(backend);
  load.limit = *limit;
  for (const std::string& file : options.files) load_one(file, load, context);
}

}  // namespace

void add_load(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("load", "puts files into memory");
  command->add_option("FILE", options->files, "of a model in several files one is enough")
      ->required();
  command
      ->add_option("--backend", options->backend,
                   "morselfs, hugetlb or memfd; any: the first of these that works here")
      ->capture_default_str();
  command->add_option(
      "--limit", options->limit,
      "what the cache may hold, e.g. 64G; files go out for that, the least recently "
      "used first (default: MORSEL_CACHE_LIMIT, or half of the memory)");
  command->callback([options, &context] { run(*options, context); });
}

}  // namespace morsel::tool
