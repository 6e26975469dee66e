// SPDX-License-Identifier: MIT
// process-bench: one row about processes that map the same object.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "command_line.h"
#include "life.h"
#include "system.h"

using namespace morsel::bench;

namespace {

void run_command_line(int argc, char** argv) {
  CLI::App app{"Has processes map the same object, and tells what that takes, and their end."};
  LifeOptions options;
  std::vector<std::string> names;
  for (const System& system : systems)
    if (system.ready != Ready::own || system.name == "morsel-open") names.emplace_back(system.name);
  app.add_option("--system", options.system)->required()->check(CLI::IsMember(names));
  app.add_option("--file", options.file, "what they map; of morsel-open the name")->required();
  app.add_option("--bytes", options.bytes)->required()->check(CLI::PositiveNumber);
  app.add_option("--processes", options.processes)->check(CLI::Range(1, 1000));
  parse_or_exit(app, argc, argv);
  std::puts(measure_life(options).dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  return exit_status_of("process-bench", [&] {
    run_command_line(argc, argv);
    return 0;
  });
}
