// SPDX-License-Identifier: MIT
// morsel stat: one file or object in detail.
#include <array>
#include <ctime>
#include <memory>

#include "command.h"
#include "find.h"
#include "text.h"

namespace morsel::tool {

namespace {

std::string when(int64_t seconds) {
  const time_t time = seconds;
  tm local{};
  std::array<char, 64> text;
  if (!localtime_r(&time, &local) || !strftime(text.data(), text.size(), "%F %T", &local))
    return "?";
  return text.data();
}

std::string mode_text(const Entry& entry) {
  std::array<char, 8> octal;
  std::snprintf(octal.data(), octal.size(), "%04o", entry.mode);
  return std::string(octal.data()) + ", user " + std::to_string(entry.uid) + ", group " +
         std::to_string(entry.gid);
}

// What its memory is made of; nothing where this user may not open it.
void add_memory(const Entry& entry, nlohmann::json& shown,
                std::vector<std::vector<std::string>>& rows) {
  auto opened = open_named(entry.name, MORSEL_READ);
  if (!opened) return;
  auto object = adopt(std::move(opened->file));
  morsel_statistics statistics{};
  statistics.struct_size = sizeof statistics;
  if (!object || morsel_stat(object->get(), &statistics, nullptr) != 0) return;
  shown["resident"] = statistics.resident;
  shown["huge"] = statistics.huge;
  shown["table_bytes"] = statistics.table_bytes;
  rows.push_back({"  memory", size_text(statistics.resident) + ", " + size_text(statistics.huge) +
                                  " of it in huge pages"});
  if (entry.backend != MORSEL_MORSELFS) return;
  shown["mappings"] = statistics.mappings;
  rows.push_back({"  page tables", size_text(statistics.table_bytes)});
  rows.push_back({"  mappings", std::to_string(statistics.mappings)});
}

void show(const std::string& title, const Entry& entry, nlohmann::json shown,
          std::vector<std::vector<std::string>> rows, Context& context) {
  rows.push_back({"  size", size_text(entry.bytes) + " (" + std::to_string(entry.bytes) + ")"});
  rows.push_back({"  backend", morsel_backend_name(entry.backend)});
  add_memory(entry, shown, rows);
  rows.push_back({"  rights", mode_text(entry)});
  rows.push_back({"  in use", entry.in_use ? "yes" : "no"});
  rows.push_back({"  last use", when(entry.atime_ns / 1'000'000'000)});
  context.print(printable(title));
  context.print(table(rows));
  context.document["objects"].push_back(std::move(shown));
}

void show_one(const std::string& what, Context& context) {
  auto found = find(what);
  if (!found) return context.fail(found.error());
  if (found->files.empty() && found->named.empty())
    return context.fail(Exit::not_cached,
                        what + " is not in the cache; `morsel load` puts it there");
  bool fresh = false;
  for (const CachedFile& file : found->files) {
    fresh |= file.freshness == Freshness::fresh || file.freshness == Freshness::unknown;
    show(file.attributes.source, file.entry, to_json(file),
         {{"  state", word_for(file.freshness)},
          {"  loaded", when(file.attributes.loaded_at) + ", by user " +
                           std::to_string(file.attributes.loaded_by)}},
         context);
  }
  for (const NamedObject& object : found->named)
    show(object.name(), object.entry, to_json(object), {}, context);
  if (!found->files.empty() && !fresh)
    return context.fail(Exit::stale,
                        what + " was changed since it was loaded; `morsel load` loads it anew");
  for (const std::string& path : found->lacking)
    context.fail(Exit::not_cached, "a part of the model has no copy: " + path);
}

}  // namespace

void add_stat(CLI::App& app, Context& context) {
  auto what = std::make_shared<std::vector<std::string>>();
  CLI::App* command = app.add_subcommand("stat", "one file or object in detail");
  command->add_option("WHAT", *what, "a file's path, or an object's name")->required();
  command->callback([what, &context] {
    context.document["objects"] = nlohmann::json::array();
    for (const std::string& each : *what) show_one(each, context);
  });
}

}  // namespace morsel::tool
