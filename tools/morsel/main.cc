// SPDX-License-Identifier: MIT
// morsel: models and other large files in memory, once, for all processes.
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "command.h"
#include "version.h"

using namespace morsel::tool;

namespace {

constexpr const char* description =
    R"(Keeps large files (models) in memory, where every process maps them at once.

Start here:
  sudo morsel setup                          lets this machine do it well
  morsel load model.gguf                     puts the file into memory
  morsel run -- llama-cli -m model.gguf      a program that uses the copy in memory
Then: morsel ls (what is there), morsel rm model.gguf, morsel doctor (what could be better).)";

constexpr const char* footer = R"(Exit status:
  0  done                        4  stale: the source has changed since
  1  failed                      5  not enough space or memory
  2  wrong usage                 6  not permitted
  3  not in the cache            7  in use
`morsel run` ends with the status of the program that it runs.

Environment:
  MORSEL_CACHE_LIMIT  how much the cache may hold, e.g. 64G (default: half of the memory)
  MORSEL_RUNTIME      directory of the holder (default: /run/morsel for root, else
                      $XDG_RUNTIME_DIR/morsel)
  NO_COLOR            no colours)";

void add_common_options(CLI::App& app, Context& context) {
  app.add_flag("--json", context.json, "the answer as JSON, with a \"schema\": 1");
  app.add_flag("-q,--quiet", context.quiet, "no remarks, no progress");
  app.add_flag("--no-color", context.no_colour, "no colours");
}

/// The library starts `morsel holder` when it needs one: this very program.
void tell_library_where_we_are() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) ::setenv("MORSEL_COMMAND", self.c_str(), 0);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{description, "morsel"};
  Context context;
  context.document = {{"schema", 1}};
  app.footer(footer);
  app.set_version_flag("--version", version_text,
                       "this command's, the library's and the loaded module's");
  app.require_subcommand(1);
  add_common_options(app, context);
  add_load(app, context);
  add_run(app, context);
  add_ls(app, context);
  add_stat(app, context);
  add_rm(app, context);
  add_prune(app, context);
  add_verify(app, context);
  add_huge(app, context);
  add_promote(app, context);
  add_doctor(app, context);
  add_setup(app, context);
  add_holder(app, context);
  // So that `morsel ls --json` is the same as `morsel --json ls`.
  for (CLI::App* command : app.get_subcommands({})) command->fallthrough();

  tell_library_where_we_are();
  try {
    app.parse(take_program(argc, argv, context), argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::usage);
  } catch (const std::exception& error) {
    context.fail(Exit::failed, error.what());
  }
  if (context.json) {
    context.document["status"] = static_cast<int>(context.status);
    using Handler = nlohmann::json::error_handler_t;
    std::puts(context.document.dump(2, ' ', false, Handler::replace).c_str());
  }
  // Standard output that could not be written is an answer that nobody got.
  if (std::fflush(stdout) != 0 && context.status == Exit::ok) {
    std::perror("morsel: standard output");
    context.status = Exit::failed;
  }
  return static_cast<int>(context.status);
}
