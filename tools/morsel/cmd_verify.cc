// SPDX-License-Identifier: MIT
// morsel verify
#include "command.h"

namespace morsel::tool {

void add_verify(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("verify", "compares what is in memory with its source");
  command->callback([&context] { context.fail(Exit::failed, "not written yet"); });
}

}  // namespace morsel::tool
