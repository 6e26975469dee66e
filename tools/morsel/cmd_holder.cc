// SPDX-License-Identifier: MIT
// morsel holder: the process that keeps objects of hugetlb and memfd.
#include <chrono>
#include <memory>

#include "command.h"
#include "holder_client.h"
#include "holder_process.h"
#include "store.h"
#include "text.h"

namespace morsel::tool {

namespace {

struct Options {
  bool status = false, stop = false, background = false;
  std::string directory;
  double idle = 10;
};

std::string directory_of(const Options& options) {
  return options.directory.empty() ? own_holder() : options.directory;
}

void say_status(const std::string& directory, Context& context) {
  auto talk = ask_holder(directory, false, {{"op", "hello"}, {"version", holder_version}});
  context.document["directory"] = directory;
  context.document["running"] = bool(talk);
  if (!talk && talk.error().code == -ENOENT) {
    context.print("no holder runs in " + printable(directory));
    context.status = Exit::failed;
    return;
  }
  if (!talk) return context.fail(talk.error());
  const nlohmann::json& body = talk->answer.body;
  for (const char* field : {"pid", "objects", "bytes"})
    context.document[field] = body.value(field, 0UL);
  context.print("process " + std::to_string(body.value("pid", 0)) + " holds " +
                std::to_string(body.value("objects", 0UL)) + " objects, " +
                size_text(body.value("bytes", 0UL)) + ", in " + printable(directory));
}

void stop(const std::string& directory, Context& context) {
  auto talk = ask_holder(directory, false, nlohmann::json::object({{"op", "stop"}}));
  context.document["stopped"] = bool(talk);
  if (!talk && talk.error().code == -ENOENT)
    return context.remark("no holder runs in " + printable(directory));
  if (!talk) return context.fail(talk.error());
  // It closes the connection when all is cleaned up.
  (void)ask(talk->connection.get(), nlohmann::json::object({{"op", "stop"}}));
  context.remark("stopped; who has an object mapped keeps it");
}

void run(const Options& options, Context& context) {
  const std::string directory = directory_of(options);
  if (options.status) return say_status(directory, context);
  if (options.stop) return stop(directory, context);
  const auto idle = std::chrono::milliseconds(int64_t(options.idle * 1000));
  Status status = options.background ? holder::run_in_background(directory, idle)
                                     : holder::run(directory, idle, [&] {
                                         context.remark("listening in " + printable(directory));
                                       });
  if (!status) context.fail(status.error());
}

}  // namespace

void add_holder(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("holder", "keeps objects in memory; it is started when it is needed");
  CLI::Option* status = command->add_flag("--status", options->status, "says what it holds");
  command->add_flag("--stop", options->stop, "ends it: names are gone, mappings stay")
      ->excludes(status);
  command->add_flag("--background", options->background, "returns when it listens");
  command->add_option("--directory", options->directory, "another directory than the usual one");
  command->add_option("--idle", options->idle, "seconds without objects and clients until it ends")
      ->check(CLI::Range(0.0, 1e9));
  command->callback([options, &context] { run(*options, context); });
}

}  // namespace morsel::tool
