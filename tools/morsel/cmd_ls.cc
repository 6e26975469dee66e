// SPDX-License-Identifier: MIT
// morsel ls
#include "command.h"

namespace morsel::tool {

void add_ls(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("ls", "what is in memory");
  command->callback([&context] { context.fail(Exit::failed, "not written yet"); });
}

}  // namespace morsel::tool
