// SPDX-License-Identifier: MIT
#include "layout.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string_view>

namespace morsel::bench {
namespace {

using gguf::Value;

class HeaderWriter {
 public:
  void key(std::string_view name, uint16_t value) { typed(name, Value::u16, value); }
  void key(std::string_view name, int32_t value) { typed(name, Value::i32, value); }
  void key(std::string_view name, uint32_t value) { typed(name, Value::u32, value); }
  void key(std::string_view name, float value) { typed(name, Value::f32, value); }
  void key(std::string_view name, bool value) { typed(name, Value::boolean, value); }
  void key(std::string_view name, std::string_view value) {
    begin(name, Value::string);
    text(value);
  }
  void key(std::string_view name, const std::vector<std::string>& values) {
    begin_array(name, Value::string, values.size());
    for (const auto& value : values) text(value);
  }
  void key(std::string_view name, const std::vector<float>& values) {
    begin_array(name, Value::f32, values.size());
    for (float value : values) number(value);
  }
  void key(std::string_view name, const std::vector<int32_t>& values) {
    begin_array(name, Value::i32, values.size());
    for (int32_t value : values) number(value);
  }

  void tensor(const TensorPlan& plan) {
    text(plan.name);
    const uint32_t dimensions = plan.rows == 1 ? 1 : 2;
    number(dimensions);
    number(plan.columns);
    if (dimensions == 2) number(plan.rows);
    number(static_cast<uint32_t>(plan.type));
    number(plan.offset);
  }

  uint64_t keys() const { return keys_; }
  const std::string& bytes() const { return bytes_; }

  template <class T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

 private:
  void text(std::string_view value) {
    number<uint64_t>(value.size());
    bytes_.append(value);
  }
  void begin(std::string_view name, Value type) {
    ++keys_;
    text(name);
    number(static_cast<uint32_t>(type));
  }
  void begin_array(std::string_view name, Value element, uint64_t count) {
    begin(name, Value::array);
    number(static_cast<uint32_t>(element));
    number(count);
  }
  template <class T>
  void typed(std::string_view name, Value type, T value) {
    begin(name, type);
    number(value);
  }

  std::string bytes_;
  uint64_t keys_ = 0;
};

/// Puts the tensors one behind the other; returns where the last one ends.
uint64_t place(std::vector<TensorPlan>& tensors) {
  uint64_t end = 0;
  for (auto& tensor : tensors) {
    tensor.offset = gguf::align(end);
    end = tensor.offset + tensor.bytes;
  }
  return end;
}

std::vector<TensorPlan> plan_tensors(const Shape& shape) {
  std::vector<TensorPlan> tensors;
  const auto add = [&](std::string name, gguf::Tensor type, uint64_t columns, uint64_t rows) {
    const uint64_t weights = columns * rows;
    const uint64_t bytes = type == gguf::Tensor::f32
                               ? weights * sizeof(float)
                               : weights / gguf::q8_0_weights * gguf::q8_0_bytes;
    const auto number = static_cast<uint32_t>(tensors.size());
    tensors.push_back({std::move(name), number, type, columns, rows, 0, bytes});
  };
  const auto matrix = [&](std::string name, uint64_t columns, uint64_t rows) {
    add(std::move(name), gguf::Tensor::q8_0, columns, rows);
  };
  const auto norm = [&](std::string name) {
    add(std::move(name), gguf::Tensor::f32, shape.embedding, 1);
  };

  matrix("token_embd.weight", shape.embedding, shape.vocabulary);
  for (uint32_t i = 0; i < shape.blocks; ++i) {
    const std::string block = "blk." + std::to_string(i) + ".";
    norm(block + "attn_norm.weight");
    matrix(block + "attn_q.weight", shape.embedding, shape.embedding);
    matrix(block + "attn_k.weight", shape.embedding, shape.embedding);
    matrix(block + "attn_v.weight", shape.embedding, shape.embedding);
    matrix(block + "attn_output.weight", shape.embedding, shape.embedding);
    norm(block + "ffn_norm.weight");
    matrix(block + "ffn_gate.weight", shape.embedding, shape.feed_forward);
    matrix(block + "ffn_up.weight", shape.embedding, shape.feed_forward);
    matrix(block + "ffn_down.weight", shape.feed_forward, shape.embedding);
  }
  norm("output_norm.weight");
  matrix("output.weight", shape.embedding, shape.vocabulary);
  return tensors;
}

void write_keys(HeaderWriter& out, const Shape& shape, const Vocabulary& vocabulary,
                uint64_t padding) {
  out.key("general.architecture", std::string_view("llama"));
  out.key("general.name", "Morsels synthetic " + std::string(shape.name));
  out.key("general.description", "Random weights, for measuring." + std::string(padding, ' '));
  out.key("general.file_type", gguf::file_type_q8_0);
  out.key("general.quantization_version", uint32_t{2});
  out.key("general.alignment", gguf::alignment);
  out.key("llama.context_length", shape.context);
  out.key("llama.embedding_length", shape.embedding);
  out.key("llama.block_count", shape.blocks);
  out.key("llama.feed_forward_length", shape.feed_forward);
  out.key("llama.attention.head_count", shape.heads);
  out.key("llama.attention.head_count_kv", shape.heads);
  out.key("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  out.key("llama.rope.dimension_count", shape.embedding / shape.heads);
  out.key("llama.vocab_size", shape.vocabulary);
  out.key("tokenizer.ggml.model", std::string_view("llama"));
  out.key("tokenizer.ggml.tokens", vocabulary.tokens);
  out.key("tokenizer.ggml.scores", vocabulary.scores);
  out.key("tokenizer.ggml.token_type", vocabulary.types);
  out.key("tokenizer.ggml.bos_token_id", uint32_t{1});
  out.key("tokenizer.ggml.eos_token_id", uint32_t{2});
  out.key("tokenizer.ggml.unknown_token_id", uint32_t{0});
  out.key("tokenizer.ggml.add_bos_token", true);
}

void write_split_keys(HeaderWriter& out, uint16_t number, uint16_t count, size_t tensors) {
  out.key("split.no", number);
  out.key("split.count", count);
  out.key("split.tensors.count", static_cast<int32_t>(tensors));
}

std::string make_header(const HeaderWriter& keys, const std::vector<TensorPlan>& tensors) {
  HeaderWriter header;
  header.number(gguf::version);
  header.number<uint64_t>(tensors.size());
  header.number(keys.keys());
  HeaderWriter list;
  for (const auto& tensor : tensors) list.tensor(tensor);

  std::string bytes(gguf::magic);
  bytes += header.bytes();
  bytes += keys.bytes();
  bytes += list.bytes();
  return bytes;
}

void finish(Layout& layout, uint64_t data_bytes) {
  layout.header.resize(gguf::align(layout.header.size()), '\0');
  layout.file_bytes = layout.header.size() + data_bytes;
}

}  // namespace

Layout plan_layout(const Shape& shape, Vocabulary vocabulary) {
  vocabulary.resize(shape.vocabulary);
  Layout layout;
  layout.tensors = plan_tensors(shape);
  const uint64_t data = place(layout.tensors);
  const auto header = [&](uint64_t padding) {
    HeaderWriter keys;
    write_keys(keys, shape, vocabulary, padding);
    return make_header(keys, layout.tensors);
  };

  layout.header = header(0);
  if (shape.file_bytes != 0) {
    const uint64_t start = shape.file_bytes - data;
    if (shape.file_bytes < data + layout.header.size() || start != gguf::align(start))
      throw std::runtime_error("the metadata does not fit the size that the shape asks for");
    layout.header = header(start - layout.header.size());
  }
  finish(layout, data);
  return layout;
}

std::vector<Layout> plan_shards(const Shape& shape, Vocabulary vocabulary, uint16_t count) {
  vocabulary.resize(shape.vocabulary);
  std::vector<TensorPlan> all = plan_tensors(shape);
  if (count == 0 || count > all.size())
    throw std::runtime_error("a model of " + std::to_string(all.size()) +
                             " tensors cannot be split into " + std::to_string(count) + " files");
  const uint64_t bytes = place(all);

  std::vector<Layout> shards(count);
  uint64_t file = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    // By where the tensor begins; but each file has at least one, the last ones too.
    const uint64_t by_offset = all[i].offset * count / bytes;
    const uint64_t by_number = count - std::min<uint64_t>(count, all.size() - i);
    file = std::min(std::max(by_offset, by_number), i == 0 ? 0 : file + 1);
    shards[file].tensors.push_back(all[i]);
  }
  for (uint16_t number = 0; number < count; ++number) {
    Layout& shard = shards[number];
    const uint64_t data = place(shard.tensors);
    HeaderWriter keys;
    if (number == 0) write_keys(keys, shape, vocabulary, 0);
    write_split_keys(keys, number, count, all.size());
    shard.header = make_header(keys, shard.tensors);
    finish(shard, data);
  }
  return shards;
}

}  // namespace morsel::bench
