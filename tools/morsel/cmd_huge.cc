// SPDX-License-Identifier: MIT
// morsel huge, morsel promote: which pages an object gets, and moving it into others.
#include <memory>

#include "target.h"
#include "text.h"

namespace morsel::tool {

namespace {

void set_policy(Target& target, morsel_huge policy, Context& context) {
  const Status status = target.backend->set_huge(target.file.get(), policy);
  if (!status)
    return context.fail(exit_for(status.error()), target.name + ": " + status.error().text);
  target.shown["policy"] = morsel_huge_name(policy);
  if (!context.quiet)
    context.print(std::string(morsel_huge_name(policy)) + ": " + printable(target.name));
  context.document["objects"].push_back(std::move(target.shown));
}

// What was left as it is, is no success: who gets the status can call again.
void report(Target& target, Backend::Move how, const morsel_moved& moved, Context& context) {
  const std::string size = how == Backend::Move::promote ? "2-MiB" : "4-KiB";
  target.shown["done"] = moved.done;
  target.shown["busy"] = moved.busy;
  target.shown["lacking"] = moved.lacking;
  if (!context.quiet)
    context.print(size_text(moved.done) + " moved into " + size +
                  " pages: " + printable(target.name));
  if (moved.busy)
    context.fail(Exit::in_use, target.name + ": " + size_text(moved.busy) +
                                   " were left as they are: a device, the kernel or a reader "
                                   "holds pages of them");
  if (moved.lacking)
    context.fail(Exit::no_space, target.name + ": " + size_text(moved.lacking) +
                                     " were left as they are: there is not enough free memory in "
                                     "pieces of " +
                                     (how == Backend::Move::promote ? "2 MiB" : "4 KiB"));
  context.document["objects"].push_back(std::move(target.shown));
}

void move(Target& target, Backend::Move how, Context& context) {
  const auto moved = target.backend->move(target.file.get(), how, 0, 0);
  if (!moved)
    context.fail(exit_for(moved.error()), target.name + ": " + moved.error().text);
  else
    report(target, how, *moved, context);
}

}  // namespace

void add_huge(CLI::App& app, Context& context) {
  struct Options {
    std::string policy;
    std::vector<std::string> what;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("huge", "which files get 2-MiB pages from now on (on morselfs)");
  command
      ->add_option(
          "POLICY", options->policy,
          "never; within_size: for what one call fills, and later what is full; always: at "
          "the first touch; mount: as the mount says")
      ->required()
      ->check(CLI::IsMember({"mount", "never", "within_size", "always"}));
  command->add_option("WHAT", options->what, "a file's path, or an object's name")->required();
  command->callback([options, &context] {
    context.document["objects"] = nlohmann::json::array();
    const auto policy = morsel_huge(morsel_huge_parse(options->policy.c_str(), nullptr));
    for (const std::string& each : options->what)
      for (Target& target : targets(each, context)) set_policy(target, policy, context);
  });
}

void add_promote(CLI::App& app, Context& context) {
  struct Options {
    bool demote = false;
    std::vector<std::string> what;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("promote", "moves files into 2-MiB pages now (on morselfs)");
  command->add_flag("--demote", options->demote, "out of 2-MiB pages, into 4-KiB ones");
  command->add_option("WHAT", options->what, "a file's path, or an object's name")->required();
  command->callback([options, &context] {
    context.document["objects"] = nlohmann::json::array();
    const auto how = options->demote ? Backend::Move::demote : Backend::Move::promote;
    for (const std::string& each : options->what)
      for (Target& target : targets(each, context)) move(target, how, context);
  });
}

}  // namespace morsel::tool
