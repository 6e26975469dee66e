// SPDX-License-Identifier: MIT
// llama-load: loads a model with the real llama.cpp, generates from it, unloads it, and tells how
// long each took, what the model's mapping looked like meanwhile, and that nothing of it is left.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "command_line.h"
#include "info.h"
#include "info_json.h"
#include "maps.h"
#include "session.h"

using namespace morsel::bench;
using Json = nlohmann::ordered_json;

namespace {

long faults() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

/// The mapping as it is now. Opens the file anew: llama.cpp has closed it.
Json look(const std::string& model) {
  const MappedFile mapped = mapped_of(model);
  Json json{{"mapped_bytes", mapped.bytes},
            {"vmas", mapped.vmas},
            {"shared_bytes", mapped.shared_bytes},
            {"shared_names", mapped.shared_names}};
  const int fd = ::open(model.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("cannot open " + model);
  if (const auto info = query_info(fd)) json["info"] = to_json(*info);
  ::close(fd);
  return json;
}

Json run(const SessionOptions& options, const std::string& prompt, int count, bool vocabulary) {
  Json json{{"model", options.model}, {"threads", options.threads}};
  json["cpu_features"] = load_backends(options);

  const long faults_before = faults();
  auto start = std::chrono::steady_clock::now();
  std::optional<Session> session(std::in_place, options);
  json["load_ms"] = since_ms(start);
  json["load_faults"] = faults() - faults_before;
  json["after_load"] = look(options.model);

  std::vector<llama_token> tokens;
  if (count > 0) {
    start = std::chrono::steady_clock::now();
    tokens.push_back(session->first_token(prompt, count));
    json["first_token_ms"] = since_ms(start);
    json["context_ms"] = session->context_ms();
    start = std::chrono::steady_clock::now();
    while (tokens.size() < static_cast<size_t>(count)) tokens.push_back(session->next_token());
    json["other_tokens_ms"] = since_ms(start);
    json["before_unload"] = look(options.model);
    json["text"] = session->text(tokens);
  }
  json["tokens"] = tokens;

  start = std::chrono::steady_clock::now();
  session.reset();
  json["unload_ms"] = since_ms(start);
  json["after_unload"] = look(options.model);
  // Of another file, too, if a launcher put one in the model's place; libraries are private
  // mappings.
  json["left_mapped"] = json["after_unload"]["shared_bytes"];
  // At the end: what it reads must not be read already when the model is loaded.
  if (vocabulary) json["vocabulary_ms"] = time_vocabulary(options);
  return json;
}

int run_command_line(int argc, char** argv) {
  CLI::App app{"Loads a model with llama.cpp, generates from it, and prints JSON about it."};
  SessionOptions options;
  std::string prompt = "Once upon a time";
  int count = 0;
  bool may_stay = false, vocabulary = false;
  app.add_option("model", options.model, "GGUF file")->required();
  app.add_option("-n,--tokens", count, "to generate; 0: only load and unload")
      ->check(CLI::Range(0, 512))
      ->capture_default_str();
  app.add_option("-p,--prompt", prompt, "to start from")->capture_default_str();
  app.add_option("-t,--threads", options.threads, "that compute")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  auto* seed = app.add_option("--seed", options.seed, "sample with this seed, not greedily");
  app.add_option("--backends", options.backends, "directory of the libggml-cpu-*.so");
  app.add_flag("-v,--verbose", options.verbose, "let llama.cpp say what it does");
  app.add_flag("--vocabulary", vocabulary,
               "at the end, time loading the vocabulary and no tensors");
  app.add_flag("--may-stay", may_stay,
               "no error if a mapping is left: from hugetlbfs llama.cpp cannot unmap");
  CLI11_PARSE(app, argc, argv);
  options.greedy = seed->count() == 0;

  const Json json = run(options, prompt, count, vocabulary);
  // A random model spells bytes that are no UTF-8.
  std::puts(json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  if (!may_stay && json["left_mapped"] != 0) {
    std::fputs("llama-load: a mapping of the model is left after unloading it\n", stderr);
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return exit_status_of("llama-load", [&] { return run_command_line(argc, argv); });
}
