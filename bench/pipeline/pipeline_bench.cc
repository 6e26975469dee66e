// SPDX-License-Identifier: MIT
// pipeline-bench: one row of the pipeline experiment.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "command_line.h"
#include "pipeline.h"

using namespace morsel::bench;

namespace {

void run_command_line(int argc, char** argv) {
  CLI::App app{"Sends packets through three processes, and tells what a round trip takes."};
  PipelineOptions options;
  app.add_option("--system", options.way.system)->required()->check(CLI::IsMember(way_names()));
  app.add_option("--bytes", options.way.bytes, "of each packet; a multiple of 8")->required();
  app.add_option("--packets", options.packets)->check(CLI::Range(1, 1'000'000));
  app.add_option("--directory", options.way.directory, "tmpfs-huge, and morselfs: where files go");
  app.add_option("--work", options.work, "every word, one of each page, one of each 64 KiB")
      ->check(CLI::IsMember({"full", "pages", "sparse"}));
  parse_or_exit(app, argc, argv);
  std::puts(measure_pipeline(options).dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  return exit_status_of("pipeline-bench", [&] {
    run_command_line(argc, argv);
    return 0;
  });
}
