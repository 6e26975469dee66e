// SPDX-License-Identifier: MIT
// morsel prune
#include "command.h"

namespace morsel::tool {

void add_prune(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("prune", "removes stale files, or the least recently used");
  command->callback([&context] { context.fail(Exit::failed, "not written yet"); });
}

}  // namespace morsel::tool
