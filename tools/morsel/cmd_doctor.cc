// SPDX-License-Identifier: MIT
// morsel doctor
#include "command.h"

namespace morsel::tool {

void add_doctor(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("doctor", "what this machine can do, and how to mend what it can't");
  command->callback([&context] { context.fail(Exit::failed, "not written yet"); });
}

}  // namespace morsel::tool
