// SPDX-License-Identifier: MIT
// map-bench: measures how long it takes until a file is mapped and ready, in fresh processes.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "checksum.h"
#include "command_line.h"
#include "file_copy.h"
#include "inspect.h"
#include "row.h"
#include "sample.h"

using namespace morsel::bench;

namespace {

std::vector<std::string> split(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

struct CommandLine {
  std::string system;
  std::string method = "touch";
  std::vector<uint64_t> uncovered;
  std::string output;
  std::string program = "/proc/self/exe";
  std::string launcher;
  uint64_t offset = 0;
  bool once = false;
  bool no_sweep = false;
  RowOptions row;

  System parsed_system() const { return system_by_name(system).value(); }
  Plan plan() const { return {method_by_name(method).value(), uncovered}; }
  MapRequest request() const {
    MapRequest request = request_for(parsed_system(), row.file, row.bytes);
    request.populate = plan().method == Method::populate;
    if (request.bytes == 0) request.bytes = file_bytes(row.file);
    return request;
  }
};

void add_common(CLI::App& command, CommandLine& line) {
  std::vector<std::string> names;
  names.reserve(systems.size());
  for (const System& system : systems) names.emplace_back(system.name);
  command.add_option("--system", line.system, "what the file lies on")
      ->required()
      ->check(CLI::IsMember(names));
  command.add_option("--file", line.row.file, "file to map")->required();
  command.add_option("--bytes", line.row.bytes, "of the file that count; 0: all of it");
}

void add_plan(CLI::App& command, CommandLine& line) {
  command.add_option("--method", line.method, "how to get it ready")
      ->check(CLI::IsMember({"none", "populate", "touch", "list"}));
  command.add_option("--uncovered", line.uncovered, "pages to read, for --method list")
      ->delimiter(',');
}

void run_row(CommandLine& line) {
  line.row.system = line.parsed_system();
  line.row.program = split(line.launcher);
  line.row.program.push_back(line.program);
  const std::string text = measure_row(line.row).dump(2) + "\n";
  if (line.output.empty()) {
    std::fputs(text.c_str(), stdout);
    return;
  }
  std::ofstream out(line.output);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + line.output);
}

/// The sum of a file, or of a part of one: a file inside an image of a file system.
void run_sum(const CommandLine& line) {
  const uint64_t whole = file_bytes(line.row.file);
  const uint64_t bytes = line.row.bytes == 0 ? whole - line.offset : line.row.bytes;
  if (line.offset > whole || bytes > whole - line.offset)
    throw std::runtime_error(line.row.file + " is shorter than that");
  MapRequest request;
  request.path = line.row.file;
  request.bytes = whole;
  const Mapping mapping(request);
  std::puts(checksum_text(mapping.data() + line.offset, bytes).c_str());
}

int run_command_line(int argc, char** argv) {
  CLI::App app{"Measures how long it takes until a file is mapped and ready."};
  app.require_subcommand(1);
  CommandLine line;

  CLI::App* row = app.add_subcommand("row", "one row of the table, as JSON");
  add_common(*row, line);
  row->add_option("--source", line.row.source, "copy this to --file first")
      ->check(CLI::ExistingFile);
  row->add_option("--warm", line.row.warm, "another file of the system, mapped before")
      ->check(CLI::ExistingFile);
  row->add_flag("--warm-inside", line.row.warm_inside, "map --warm in every sample's process too");
  row->add_option("--samples", line.row.samples, "processes that are measured")
      ->check(CLI::Range(1U, 1000U))
      ->capture_default_str();
  row->add_option("--firsts", line.row.firsts, "times that the file is written and mapped first")
      ->check(CLI::Range(1U, 100U))
      ->capture_default_str();
  row->add_option("--checksum", line.row.checksum, "that the bytes must have");
  row->add_option("--program", line.program, "to run for samples, instead of this one");
  row->add_option("--launcher", line.launcher,
                  "to run it with, words with blanks between: 'morsel run --'");
  row->add_option("--output", line.output, "file to write, instead of stdout");

  CLI::App* sample = app.add_subcommand("sample", "one measurement in this process");
  add_common(*sample, line);
  add_plan(*sample, line);
  sample->add_option("--warm", line.row.warm, "map this file before");
  sample->add_flag("--once", line.once, "do not map a second time");
  sample->add_flag("--no-sweep", line.no_sweep, "do not read every page at the end");

  CLI::App* look = app.add_subcommand("inspect", "coverage, leaves and checksum of a mapping");
  add_common(*look, line);

  CLI::App* sum = app.add_subcommand("sum", "checksum of a file");
  sum->add_option("file", line.row.file)->required()->check(CLI::ExistingFile);
  sum->add_option("--offset", line.offset, "of the first byte that counts");
  sum->add_option("--bytes", line.row.bytes, "that count; 0: all the rest");

  CLI::App* copy = app.add_subcommand("copy", "copies a file to hugetlbfs, which cp cannot");
  copy->add_option("source", line.row.source)->required()->check(CLI::ExistingFile);
  copy->add_option("target", line.row.file)->required();

  CLI11_PARSE(app, argc, argv);
  if (*row) {
    run_row(line);
  } else if (*sample) {
    std::puts(nlohmann::json(measure_sample(line.request(), line.plan(),
                                            {line.row.warm, !line.once, !line.no_sweep}))
                  .dump()
                  .c_str());
  } else if (*look) {
    std::puts(
        inspect(line.request(), line.parsed_system().ready == Ready::uncovered).dump().c_str());
  } else if (*copy) {
    copy_by_mapping(line.row.source, line.row.file);
  } else {
    run_sum(line);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return exit_status_of("map-bench", [&] { return run_command_line(argc, argv); });
}
