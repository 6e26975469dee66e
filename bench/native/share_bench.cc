// SPDX-License-Identifier: MIT
// share-bench: makes an object that processes share, and measures how long it takes to have it
// mapped. `map-bench row --program share-bench-...` runs it, once per sample.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "command_line.h"
#include "inspect.h"
#include "mapping.h"
#include "measure.h"
#include "sample.h"
#include "way.h"

using namespace morsel::bench;

namespace {

struct CommandLine {
  std::string file;
  uint64_t bytes = 0;
  bool once = false;
  std::string system;

  /// Is finding the object a part of what is measured?
  bool finds() const { return system != "morsel-lib"; }
  uint64_t pages() const { return round_up(bytes, page_bytes) / page_bytes; }
};

Sample measure(const CommandLine& line, bool sweep) {
  way_mapping mapping{};
  const auto find = [&] { way_open(line.file.c_str(), line.bytes, &mapping); };
  if (!line.finds()) find();
  return measure_once(
      line.pages(), sweep,
      [&] {
        if (line.finds()) find();
        way_map(&mapping);
        return mapping.data;
      },
      [&] { way_unmap(&mapping); });
}

void hold(const CommandLine& line) {
  way_hold(line.file.c_str());
  std::fflush(stdout);
  // Until whoever started this closes the other end, or is no more.
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) continue;
  way_drop();
}

void sample(const CommandLine& line) {
  for (int i = 0; i < 2; ++i) way_warm();
  Sample sample = measure(line, true);
  if (!line.once) sample.again_us = measure(line, false).ready_us;
  std::puts(nlohmann::json(sample).dump().c_str());
}

void look(const CommandLine& line) {
  way_mapping mapping{};
  way_open(line.file.c_str(), line.bytes, &mapping);
  way_map(&mapping);
  std::puts(describe(mapping.data, line.bytes, mapping.fd).dump().c_str());
}

void run_command_line(int argc, char** argv) {
  CLI::App app{"Makes an object that processes share, and measures how long mapping it takes."};
  app.require_subcommand(1);
  CommandLine line;
  std::string ignored;

  CLI::App* holder = app.add_subcommand("hold", "copies a file to an object; until stdin ends");
  holder->add_option("source", line.file)->required()->check(CLI::ExistingFile);
  CLI::App* one = app.add_subcommand("sample", "one measurement in this process");
  CLI::App* inspector = app.add_subcommand("inspect", "leaves and checksum of a mapping");
  for (CLI::App* command : {one, inspector}) {
    command->add_option("--file", line.file, "as `hold` printed it")->required();
    command->add_option("--bytes", line.bytes, "of the source")->required();
    command->add_option("--system", line.system, "morsel-lib: finding the object does not count");
  }
  one->add_option("--method", ignored, "always its own")->check(CLI::IsMember({"own"}));
  one->add_flag("--once", line.once, "do not map a second time");

  parse_or_exit(app, argc, argv);
  if (*holder) hold(line);
  if (*one) sample(line);
  if (*inspector) look(line);
}

}  // namespace

int main(int argc, char** argv) {
  return exit_status_of("share-bench", [&] {
    run_command_line(argc, argv);
    return 0;
  });
}
