// SPDX-License-Identifier: MIT
// morsel holder
#include "command.h"

namespace morsel::tool {

void add_holder(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "holder", "keeps objects of the stock kernel's backends (started when it is needed)");
  command->callback([&context] { context.fail(Exit::failed, "not written yet"); });
}

}  // namespace morsel::tool
