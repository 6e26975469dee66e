// SPDX-License-Identifier: MIT
// morsel doctor: what this machine can do, and what mends what it can't.
#include <cerrno>
#include <fstream>
#include <memory>

#include "command.h"
#include "doctor.h"
#include "holder_place.h"
#include "store.h"
#include "text.h"

namespace morsel::tool {

namespace {

// What a killed holder left; where one is alive, it has done that itself.
void fix_leftovers(Context& context) {
  auto left = holder::Place::leftovers(own_holder());
  if (!left) return context.fail(left.error());
  if (left->empty()) return;
  auto place = holder::Place::take(own_holder());
  if (!place && place.error().code == -EBUSY) return;
  if (!place) return context.fail(place.error());
  if (Status status = place->sweep(); !status) return context.fail(status.error());
  context.document["fixed"] = *left;
  context.remark("removed what a killed holder left: " + std::to_string(left->size()) + " names");
}

void run(bool fix, Context& context) {
  if (fix) fix_leftovers(context);
  Checks checks;
  check_kernel(checks);
  check_memory(checks);
  check_cache(checks);
  std::vector<std::vector<std::string>> rows;
  context.document["checks"] = nlohmann::json::array();
  for (const Check& check : checks) {
    rows.push_back({word_for(check.level), check.name, check.text});
    if (!check.mend.empty()) rows.push_back({"", "", "-> " + check.mend});
    context.document["checks"].push_back({{"level", word_for(check.level)},
                                          {"name", check.name},
                                          {"text", check.text},
                                          {"mend", check.mend}});
  }
  context.print(table(rows));
}

}  // namespace

const char* word_for(Check::Level level) {
  switch (level) {
    case Check::Level::ok:
      return "ok";
    case Check::Level::warn:
      return "warn";
    case Check::Level::missing:
      break;
  }
  return "missing";
}

std::string line_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

void add_doctor(CLI::App& app, Context& context) {
  auto fix = std::make_shared<bool>(false);
  CLI::App* command =
      app.add_subcommand("doctor", "what this machine can do, and how to mend what it can't");
  command->add_flag("--fix", *fix, "removes what killed processes left");
  command->footer(
      "`->` is followed by the command that mends it. The exit status is 0 whatever was found.");
  command->callback([fix, &context] { run(*fix, context); });
}

}  // namespace morsel::tool
