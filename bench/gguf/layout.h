// SPDX-License-Identifier: MIT
// Which tensors a model of a given shape has, and where in the file each of them lies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "format.h"
#include "shape.h"
#include "vocabulary.h"

namespace morsel::bench {

struct TensorPlan {
  std::string name;
  uint32_t number;  ///< in the whole model: the weights depend on it
  gguf::Tensor type;
  uint64_t columns;  ///< innermost dimension
  uint64_t rows;     ///< 1 for vectors
  uint64_t offset;   ///< from the start of the tensor data
  uint64_t bytes;
};

struct Layout {
  std::string header;  ///< all that comes before the tensor data, padded to the alignment
  std::vector<TensorPlan> tensors;
  uint64_t file_bytes;
};

/// Throws std::runtime_error when the shape asks for a size that its metadata does not fit into.
Layout plan_layout(const Shape& shape, Vocabulary vocabulary);

/// The same model in `count` files of about the same size, which llama.cpp loads as one when it is
/// given the first; that has all of the metadata. The shape's file_bytes do not matter. Throws
/// std::runtime_error when there are more files than tensors.
std::vector<Layout> plan_shards(const Shape& shape, Vocabulary vocabulary, uint16_t count);

}  // namespace morsel::bench
