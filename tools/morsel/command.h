// SPDX-License-Identifier: MIT
// What the subcommands have in common: options, output, exit status.
//
// A subcommand NAME is a file cmd_NAME.cc (`promote` is in cmd_huge.cc) with one function,
// add_NAME(app, context): it adds the subcommand and its options to `app`, and sets a callback that
// does the work. What belongs to the user's question goes to standard output by context.print() or
// into context.document; progress, remarks and errors go to standard error.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "result.h"

namespace morsel::tool {

/// Exit statuses; stable, and documented in `morsel --help`.
enum class Exit : int {
  ok = 0,
  failed = 1,
  usage = 2,
  not_cached = 3,
  stale = 4,
  no_space = 5,
  not_permitted = 6,
  in_use = 7,
};

/// What an error of the library means for the exit status.
Exit exit_for(const Error& error);

struct Context {
  // Options of every command.
  bool json = false;
  bool quiet = false;
  bool no_colour = false;

  /// What `run` is to run, with its arguments. Not parsed.
  std::vector<std::string> program;

  /// What --json prints in the end; already holds "schema" and "command".
  nlohmann::json document;
  /// That of the first failure.
  Exit status = Exit::ok;

  /// A line of the answer, on standard output; nothing with --json.
  void print(const std::string& line) const;
  /// A line for people on standard error; nothing with --quiet.
  void remark(const std::string& line) const;
  /// An error on standard error and in the document; the command may go on.
  void fail(Exit exit, const std::string& text);
  void fail(const Error& error) { fail(exit_for(error), error.text); }

  /// May progress be shown? Only on a terminal, and not with --quiet.
  [[nodiscard]] bool progress() const;
};

/// Takes what `run` is to run off the command line, and returns how many arguments are left: those
/// of a program are none of ours, whatever they look like.
int take_program(int argc, char** argv, Context& context);

void add_doctor(CLI::App& app, Context& context);
void add_holder(CLI::App& app, Context& context);
void add_huge(CLI::App& app, Context& context);
void add_load(CLI::App& app, Context& context);
void add_ls(CLI::App& app, Context& context);
void add_promote(CLI::App& app, Context& context);
void add_prune(CLI::App& app, Context& context);
void add_rm(CLI::App& app, Context& context);
void add_run(CLI::App& app, Context& context);
void add_setup(CLI::App& app, Context& context);
void add_stat(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);

}  // namespace morsel::tool
