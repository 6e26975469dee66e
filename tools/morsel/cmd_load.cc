// SPDX-License-Identifier: MIT
// morsel load
#include "command.h"

namespace morsel::tool {

void add_load(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("load", "puts files into memory");
  command->callback([&context] { context.fail(Exit::failed, "not written yet"); });
}

}  // namespace morsel::tool
