// SPDX-License-Identifier: MIT
// make-model: writes a llama model with random weights that llama.cpp loads and generates from.
#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdio>
#include <thread>

#include "command_line.h"
#include "layout.h"
#include "model_file.h"
#include "shape.h"
#include "vocabulary.h"

using namespace morsel::bench;

namespace {

/// As llama.cpp wants it: it finds the other files by their names.
std::string shard_path(const std::string& path, unsigned number, unsigned count) {
  std::array<char, 32> end{};
  std::snprintf(end.data(), end.size(), "-%05u-of-%05u.gguf", number + 1, count);
  const std::string_view suffix = ".gguf";
  return path.substr(0, path.size() - (path.ends_with(suffix) ? suffix.size() : 0)) + end.data();
}

int run_command_line(int argc, char** argv) {
  CLI::App app{"Writes a GGUF model of the llama architecture, Q8_0, with seeded random weights."};
  Target target;
  bool print_bytes = false;
  std::string vocabulary;
  std::string shape_name = "7b";
  uint32_t blocks = 0;
  uint16_t shards = 0;
  uint64_t seed = 1;
  unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  app.add_option("output", target.path, "file to write")->required();
  auto* offset =
      app.add_option("--offset", target.offset, "write into an existing file, from this byte on");
  app.add_flag("--print-bytes", print_bytes, "say how large it would be, and write nothing");
  app.add_option("--vocabulary", vocabulary, "GGUF file to take the tokens from")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--shape", shape_name, "7b (6.82 GiB) or small (137 MiB)")
      ->check(CLI::IsMember({"7b", "small"}))
      ->capture_default_str();
  app.add_option("--blocks", blocks, "fewer blocks than the shape has, for a smaller file")
      ->check(CLI::Range(1U, 1024U));
  app.add_option("--shards", shards, "NAME-00001-of-0000N.gguf and so on, instead of NAME.gguf")
      ->check(CLI::Range(1U, 65535U))
      ->excludes(offset);
  app.add_option("--seed", seed, "of the weights")->capture_default_str();
  app.add_option("--threads", threads, "that make and write")
      ->check(CLI::Range(1U, 256U))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  Shape shape = shape_by_name(shape_name).value();
  if (blocks != 0 && blocks != shape.blocks) {
    shape.blocks = blocks;
    shape.file_bytes = 0;
  }
  const auto start = std::chrono::steady_clock::now();
  const Vocabulary words = read_vocabulary(vocabulary);
  const auto layouts =
      shards == 0 ? std::vector{plan_layout(shape, words)} : plan_shards(shape, words, shards);
  uint64_t bytes = 0;
  for (const Layout& layout : layouts) bytes += layout.file_bytes;
  if (print_bytes) {
    std::printf("%llu\n", static_cast<unsigned long long>(bytes));
    return 0;
  }
  for (uint16_t i = 0; i < layouts.size(); ++i)
    write_model(shards == 0 ? target : Target{shard_path(target.path, i, shards), {}}, layouts[i],
                seed, threads);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::fprintf(stderr, "make-model: %s: %llu bytes (%.2f GiB) in %.1f s\n", target.path.c_str(),
               static_cast<unsigned long long>(bytes), static_cast<double>(bytes) / (1 << 30),
               took.count());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return exit_status_of("make-model", [&] { return run_command_line(argc, argv); });
}
