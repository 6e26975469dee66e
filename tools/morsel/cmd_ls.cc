// SPDX-License-Identifier: MIT
// morsel ls: what is in memory.
#include <ctime>

#include "command.h"
#include "find.h"
#include "text.h"

namespace morsel::tool {

namespace {

std::vector<std::string> row_of(const Entry& entry, const char* state, const std::string& name) {
  const int64_t age = time(nullptr) - entry.atime_ns / 1'000'000'000;
  return {size_text(entry.bytes), morsel_backend_name(entry.backend), state,
          entry.in_use ? "in use" : duration_text(uint64_t(std::max<int64_t>(age, 0))) + " ago",
          printable(name)};
}

void run(Context& context) {
  context.document["objects"] = nlohmann::json::array();
  auto files = list_files();
  if (!files) return context.fail(files.error());
  auto objects = list_named();
  if (!objects) return context.fail(objects.error());
  std::vector<std::vector<std::string>> rows{{"SIZE", "BACKEND", "STATE", "USED", "NAME"}};
  uint64_t bytes = 0;
  for (const CachedFile& file : *files) {
    rows.push_back(row_of(file.entry, word_for(file.freshness), file.attributes.source));
    context.document["objects"].push_back(to_json(file));
    bytes += file.entry.bytes;
  }
  for (const NamedObject& object : *objects) {
    rows.push_back(row_of(object.entry, "-", object.name()));
    context.document["objects"].push_back(to_json(object));
    bytes += object.entry.bytes;
  }
  context.document["bytes"] = bytes;
  if (rows.size() > 1)
    context.print(table(rows));
  else if (!context.json)
    context.remark("nothing is in memory; `morsel load FILE` puts a file there");
}

}  // namespace

void add_ls(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("ls", "what is in memory");
  command->callback([&context] { run(context); });
}

}  // namespace morsel::tool
