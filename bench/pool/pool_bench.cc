// SPDX-License-Identifier: MIT
// pool-bench: measures a file system on persistent memory; run by guest, in a virtual machine.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "command_line.h"
#include "fill.h"
#include "rates.h"
#include "restart.h"

using namespace morsel::bench;

namespace {

void run_command_line(int argc, char** argv) {
  CLI::App app{"Measures a file system on persistent memory."};
  app.require_subcommand(1);

  std::string directory;
  unsigned files = 1;
  uint64_t bytes = 0;
  CLI::App* filling = app.add_subcommand("fill", "writes files");
  filling->add_option("--directory", directory)->required()->check(CLI::ExistingDirectory);
  filling->add_option("--files", files)->required();
  filling->add_option("--bytes", bytes, "of each")->required();

  RestartOptions restart;
  CLI::App* restarting = app.add_subcommand("restart", "mounts, maps a file, reads its first byte");
  restarting->add_option("--type", restart.type)->required();
  restarting->add_option("--device", restart.device)->required();
  restarting->add_option("--options", restart.mount_options, "of the mount");
  restarting->add_option("--directory", restart.directory, "to mount it on")->required();
  restarting->add_option("--file", restart.file)->required();
  restarting->add_option("--rounds", restart.rounds, "that count")->check(CLI::Range(1, 1000));

  RatesOptions rates;
  CLI::App* rating = app.add_subcommand("rates", "does each operation many times");
  rating->add_option("--directory", rates.directory)->required()->check(CLI::ExistingDirectory);
  rating->add_option("--times", rates.times)->check(CLI::Range(1, 100000));
  parse_or_exit(app, argc, argv);

  if (*filling)
    fill(directory, files, bytes);
  else if (*restarting)
    std::puts(measure_restart(restart).dump().c_str());
  else
    std::puts(measure_rates(rates).dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  return exit_status_of("pool-bench", [&] {
    run_command_line(argc, argv);
    return 0;
  });
}
