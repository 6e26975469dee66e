// SPDX-License-Identifier: MIT
// The tokens of a model, taken from a GGUF file that somebody made with a real tokenizer: without
// one llama.cpp would load the model and then not be able to read a prompt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace morsel::bench {

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;

  /// Adds unused tokens, or drops the last ones, until there are `count`.
  void resize(size_t count);
};

/// Reads the `tokenizer.ggml.*` keys. Throws std::runtime_error when the file is no GGUF file or
/// has no such keys.
Vocabulary read_vocabulary(const std::string& path);

}  // namespace morsel::bench
