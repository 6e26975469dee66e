// SPDX-License-Identifier: MIT
// morsel setup
#include "command.h"

namespace morsel::tool {

void add_setup(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("setup", "prepares this machine; as root");
  command->callback([&context] { context.fail(Exit::failed, "not written yet"); });
}

}  // namespace morsel::tool
