// SPDX-License-Identifier: MIT
// morsel stat
#include "command.h"

namespace morsel::tool {

void add_stat(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("stat", "one file or object in detail");
  command->callback([&context] { context.fail(Exit::failed, "not written yet"); });
}

}  // namespace morsel::tool
