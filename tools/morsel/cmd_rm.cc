// SPDX-License-Identifier: MIT
// morsel rm
#include "command.h"

namespace morsel::tool {

void add_rm(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("rm", "takes files or objects out of memory");
  command->callback([&context] { context.fail(Exit::failed, "not written yet"); });
}

}  // namespace morsel::tool
