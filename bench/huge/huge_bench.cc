// SPDX-License-Identifier: MIT
// huge-bench: what 2-MiB leaves take and give. Each command prints a row; bench/huge/guest has the
// order.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "command_line.h"
#include "contents.h"
#include "memory.h"
#include "reader.h"
#include "slots.h"

using namespace morsel::bench;

namespace {

struct Options {
  std::string path;
  uint64_t bytes = 0, seed = 1;
  unsigned times = 5;
  bool mapped = false;
  ReaderOptions reader;
};

nlohmann::ordered_json measure_files(const Options& options) {
  const std::string cgroup = enter_cgroup("huge-bench-" + std::to_string(::getpid()));
  const MemoryUse before = memory_use(cgroup);
  nlohmann::ordered_json row = write_files(options.path, options.bytes, options.seed);
  row["written"] = difference(before, memory_use(cgroup));
  map_files(options.path, row["files"]);
  row["mapped"] = difference(before, memory_use(cgroup));
  return row;
}

/// Until somebody closes its input.
nlohmann::ordered_json hold_fragments(const Options& options) {
  fragment_memory(options.bytes);
  std::printf("{\"free_large_pieces\": %llu}\n",
              static_cast<unsigned long long>(free_large_pieces()));
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return nullptr;
}

void run_command_line(int argc, char** argv) {
  CLI::App app{"Measures what 2-MiB leaves take and give."};
  app.require_subcommand(1);
  Options options;
  nlohmann::ordered_json row;
  const auto command = [&](const char* name, const char* help, auto run) {
    auto* sub = app.add_subcommand(name, help);
    sub->callback([&row, run] { row = run(); });
    return sub;
  };
  const auto path = [&](CLI::App* sub, const char* name) {
    sub->add_option(name, options.path)->required();
  };
  const auto bytes = [&](CLI::App* sub) { sub->add_option("--bytes", options.bytes)->required(); };

  auto* write = command("write", "one file, as cp does",
                        [&] { return write_file(options.path, options.bytes); });
  path(write, "--file");
  bytes(write);
  path(command("leaves", "what is behind a mapping of the file",
               [&] { return describe_leaves(options.path); }),
       "--file");
  path(command("promote", "moves all of the file", [&] { return promote_file(options.path); }),
       "--file");
  auto* files = command("files", "files of many sizes, and what they take in memory",
                        [&] { return measure_files(options); });
  path(files, "--directory");
  bytes(files);
  files->add_option("--seed", options.seed);
  auto* promotion = command("promotion", "the time that it takes", [&] {
    return measure_promotion(options.path, options.bytes, options.mapped, options.times);
  });
  path(promotion, "--file");
  bytes(promotion);
  promotion->add_flag("--mapped", options.mapped);
  promotion->add_option("--times", options.times);
  auto* reader = command("reader", "reads random words of the file", [&] {
    options.reader.file = options.path;
    return measure_reader(options.reader);
  });
  path(reader, "--file");
  reader->add_option("--seconds", options.reader.seconds);
  reader->add_flag("--moved", options.reader.moved, "while its slots are promoted");
  bytes(command("fragment", "takes memory apart until its input ends; --bytes stay free",
                [&] { return hold_fragments(options); }));
  parse_or_exit(app, argc, argv);
  if (!row.is_null()) std::puts(row.dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  return exit_status_of("huge-bench", [&] {
    run_command_line(argc, argv);
    return 0;
  });
}
