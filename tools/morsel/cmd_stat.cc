// SPDX-License-Identifier: MIT
// morsel stat: one file or object in detail.
#include <array>
#include <ctime>
#include <memory>

#include "command.h"
#include "find.h"
#include "target.h"
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

using Rows = std::vector<std::vector<std::string>>;

// What only objects on morselfs have.
void add_leaves(const morsel_statistics& statistics, nlohmann::json& shown, Rows& rows) {
  constexpr uint64_t small = 4096, large = 2 << 20;
  const char* policy = morsel_huge_name(morsel_huge(statistics.huge_policy));
  shown["mappings"] = statistics.mappings;
  shown["policy"] = policy ? policy : "unknown";
  shown["promoted"] = statistics.promoted;
  shown["demoted"] = statistics.demoted;
  shown["promote_failed"] = statistics.promote_failed;
  shown["waste"] = statistics.waste;
  rows.push_back(
      {"  pages",
       std::to_string(statistics.huge / large) + " of 2 MiB, " +
           std::to_string((statistics.resident - statistics.huge - statistics.waste) / small) +
           " of 4 KiB"});
  rows.push_back({"  policy", policy ? policy : "unknown"});
  if (statistics.promoted || statistics.demoted || statistics.promote_failed)
    rows.push_back({"  moved", std::to_string(statistics.promoted) + " promoted, " +
                                   std::to_string(statistics.demoted) + " demoted, " +
                                   std::to_string(statistics.promote_failed) + " failed"});
  if (statistics.waste)
    rows.push_back({"  waste", size_text(statistics.waste) + " in broken 2-MiB pages"});
  rows.push_back({"  page tables", size_text(statistics.table_bytes)});
  rows.push_back({"  mappings", std::to_string(statistics.mappings)});
}

// What its memory is made of.
void add_memory(const Backend& backend, int fd, nlohmann::json& shown, Rows& rows) {
  morsel_statistics statistics{};
  if (!backend.statistics(fd, statistics)) return;
  shown["resident"] = statistics.resident;
  shown["huge"] = statistics.huge;
  shown["table_bytes"] = statistics.table_bytes;
  rows.push_back({"  memory", size_text(statistics.resident) + ", " + size_text(statistics.huge) +
                                  " of it in huge pages"});
  if (backend.id == MORSEL_MORSELFS) add_leaves(statistics, shown, rows);
}

// Nothing where this user may not open it.
void add_memory(const Entry& entry, nlohmann::json& shown, Rows& rows) {
  auto opened = open_named(entry.name, MORSEL_READ);
  if (!opened) return;
  if (auto object = adopt(std::move(opened->file)))
    add_memory(*(*object)->backend, (*object)->fd.get(), shown, rows);
}

void show(const std::string& title, const Entry& entry, nlohmann::json shown, Rows rows,
          Context& context) {
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

// A file on a morselfs that is in no cache.
void show_plain(Target& target, Context& context) {
  const uint64_t bytes = target.shown["bytes"];
  Rows rows{{"  size", size_text(bytes) + " (" + std::to_string(bytes) + ")"},
            {"  backend", target.backend->name}};
  add_memory(*target.backend, target.file.get(), target.shown, rows);
  context.print(printable(target.name));
  context.print(table(rows));
  context.document["objects"].push_back(std::move(target.shown));
}

void show_one(const std::string& what, Context& context) {
  auto found = find(what);
  if (!found) return context.fail(found.error());
  if (found->files.empty() && found->named.empty())
    if (auto plain = file_on_morselfs(what)) return show_plain(*plain, context);
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
