// SPDX-License-Identifier: MIT
// A model in llama.cpp's hands, through its public interface: loaded, generating, unloaded.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "llama.h"

namespace morsel::bench {

struct SessionOptions {
  std::string model;
  std::string backends;  ///< directory of the libggml-cpu-*.so; empty: beside the executable
  int threads = 2;
  bool greedy = true;
  uint32_t seed = 1;
  bool verbose = false;
};

/// Loads the dynamic back ends and says which CPU variant was chosen. Once per process.
std::string load_backends(const SessionOptions& options);

/// Milliseconds to load the vocabulary and the other metadata, and no tensors.
double time_vocabulary(const SessionOptions& options);

double since_ms(std::chrono::steady_clock::time_point start);

class Session {
 public:
  /// Loads with llama.cpp's defaults. Throws std::runtime_error.
  explicit Session(const SessionOptions& options);

  /// Evaluates the prompt and returns the first token.
  llama_token first_token(const std::string& prompt, int tokens_in_all);
  /// What of that was for making the context, with its KV cache.
  double context_ms() const { return context_ms_; }
  /// One more token.
  llama_token next_token();
  /// What the tokens spell.
  std::string text(const std::vector<llama_token>& tokens) const;

 private:
  llama_token sample();

  template <auto free>
  struct Free {
    template <class T>
    void operator()(T* p) const {
      free(p);
    }
  };

  SessionOptions options_;
  std::unique_ptr<llama_model, Free<llama_model_free>> model_;
  std::unique_ptr<llama_context, Free<llama_free>> context_;
  std::unique_ptr<llama_sampler, Free<llama_sampler_free>> sampler_;
  llama_token last_ = 0;
  double context_ms_ = 0;
};

}  // namespace morsel::bench
