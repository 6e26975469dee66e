// SPDX-License-Identifier: MIT
#include "session.h"

#include <cstdio>
#include <stdexcept>

#include "ggml-backend.h"

namespace morsel::bench {
namespace {

void log_errors_only(ggml_log_level level, const char* text, void*) {
  if (level == GGML_LOG_LEVEL_ERROR || level == GGML_LOG_LEVEL_WARN) std::fputs(text, stderr);
}

}  // namespace

std::string load_backends(const SessionOptions& options) {
  if (!options.verbose) llama_log_set(log_errors_only, nullptr);
  if (options.backends.empty())
    ggml_backend_load_all();
  else
    ggml_backend_load_all_from_path(options.backends.c_str());

  ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (cpu == nullptr) throw std::runtime_error("no libggml-cpu-*.so fits this CPU");

  // The variants differ in what they say they were built for.
  using GetFeatures = ggml_backend_feature* (*)(ggml_backend_reg_t);
  ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(cpu);
  auto* get = reinterpret_cast<GetFeatures>(
      ggml_backend_reg_get_proc_address(reg, "ggml_backend_get_features"));
  std::string features;
  for (const auto* f = get != nullptr ? get(reg) : nullptr; f != nullptr && f->name != nullptr;
       ++f) {
    if (!features.empty()) features += ' ';
    features += f->name;
  }
  return features;
}

double since_ms(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double time_vocabulary(const SessionOptions& options) {
  llama_model_params params = llama_model_default_params();
  params.vocab_only = true;
  const auto start = std::chrono::steady_clock::now();
  llama_model* model = llama_model_load_from_file(options.model.c_str(), params);
  const double took = since_ms(start);
  if (model == nullptr) throw std::runtime_error("llama.cpp cannot load " + options.model);
  llama_model_free(model);
  return took;
}

Session::Session(const SessionOptions& options) : options_(options) {
  llama_model_params params = llama_model_default_params();
  model_.reset(llama_model_load_from_file(options.model.c_str(), params));
  if (!model_) throw std::runtime_error("llama.cpp cannot load " + options.model);
}

llama_token Session::first_token(const std::string& prompt, int tokens_in_all) {
  const llama_vocab* vocab = llama_model_get_vocab(model_.get());
  const auto length = static_cast<int32_t>(prompt.size());
  std::vector<llama_token> tokens(prompt.size() + 2);
  const int32_t count = llama_tokenize(vocab, prompt.c_str(), length, tokens.data(),
                                       static_cast<int32_t>(tokens.size()), true, true);
  if (count <= 0) throw std::runtime_error("the prompt cannot be tokenized");
  tokens.resize(static_cast<size_t>(count));

  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(count + tokens_in_all);
  params.n_threads = options_.threads;
  params.n_threads_batch = options_.threads;
  const auto start = std::chrono::steady_clock::now();
  context_.reset(llama_init_from_model(model_.get(), params));
  context_ms_ = since_ms(start);
  if (!context_) throw std::runtime_error("llama.cpp cannot make a context");

  sampler_.reset(options_.greedy ? llama_sampler_init_greedy()
                                 : llama_sampler_init_dist(options_.seed));
  if (llama_decode(context_.get(), llama_batch_get_one(tokens.data(), count)) != 0)
    throw std::runtime_error("llama_decode failed on the prompt");
  return sample();
}

llama_token Session::next_token() {
  if (llama_decode(context_.get(), llama_batch_get_one(&last_, 1)) != 0)
    throw std::runtime_error("llama_decode failed");
  return sample();
}

llama_token Session::sample() {
  last_ = llama_sampler_sample(sampler_.get(), context_.get(), -1);
  return last_;
}

std::string Session::text(const std::vector<llama_token>& tokens) const {
  const llama_vocab* vocab = llama_model_get_vocab(model_.get());
  std::string text;
  for (llama_token token : tokens) {
    char piece[256];
    const int32_t n = llama_token_to_piece(vocab, token, piece, sizeof piece, 0, true);
    if (n > 0) text.append(piece, static_cast<size_t>(n));
  }
  return text;
}

}  // namespace morsel::bench
