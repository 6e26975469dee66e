// SPDX-License-Identifier: MIT
#include "vocabulary.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "format.h"

namespace morsel::bench {
namespace {

using gguf::Value;

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), file_(path, std::ios::binary) {
    if (!file_) fail("cannot be opened");
  }

  [[noreturn]] void fail(const char* what) const { throw std::runtime_error(path_ + ": " + what); }

  template <class T>
  T number() {
    T value{};
    file_.read(reinterpret_cast<char*>(&value), sizeof value);
    if (!file_) fail("ends too early");
    return value;
  }

  std::string string() {
    const auto length = number<uint64_t>();
    if (length > 1 << 20) fail("has a string longer than a MiB");
    std::string text(length, '\0');
    file_.read(text.data(), static_cast<std::streamsize>(length));
    if (!file_) fail("ends too early");
    return text;
  }

  void skip(Value type) {
    if (type == Value::string) {
      string();
    } else if (type == Value::array) {
      const auto element = static_cast<Value>(number<uint32_t>());
      const auto count = number<uint64_t>();
      for (uint64_t i = 0; i < count; ++i) skip(element);
    } else {
      file_.ignore(size_of(type));
    }
  }

  /// Header of an array that must hold elements of this type; returns their number.
  uint64_t array(Value type, Value element) {
    if (type != Value::array || static_cast<Value>(number<uint32_t>()) != element)
      fail("has a tokenizer key of an unexpected type");
    const auto count = number<uint64_t>();
    if (count > 1 << 24) fail("has an array of more than 16 million elements");
    return count;
  }

 private:
  std::streamsize size_of(Value type) const {
    switch (type) {
      case Value::u8:
      case Value::i8:
      case Value::boolean:
        return 1;
      case Value::u16:
      case Value::i16:
        return 2;
      case Value::u32:
      case Value::i32:
      case Value::f32:
        return 4;
      case Value::u64:
      case Value::i64:
      case Value::f64:
        return 8;
      default:
        fail("has a value of an unknown type");
    }
  }

  std::string path_;
  std::ifstream file_;
};

}  // namespace

void Vocabulary::resize(size_t count) {
  constexpr int32_t unused = 5;
  constexpr float never = -1e6F;
  for (size_t i = tokens.size(); i < count; ++i) {
    std::array<char, 32> name{};
    std::snprintf(name.data(), name.size(), "<x%zu>", i);
    tokens.emplace_back(name.data());
  }
  tokens.resize(count);
  scores.resize(count, never);
  types.resize(count, unused);
}

Vocabulary read_vocabulary(const std::string& path) {
  Reader reader(path);
  for (char expected : gguf::magic)
    if (reader.number<char>() != expected) reader.fail("is no GGUF file");
  if (reader.number<uint32_t>() != gguf::version) reader.fail("is not version 3 of GGUF");
  reader.number<uint64_t>();  // number of tensors
  const auto keys = reader.number<uint64_t>();

  Vocabulary vocabulary;
  for (uint64_t i = 0; i < keys; ++i) {
    const std::string key = reader.string();
    const auto type = static_cast<Value>(reader.number<uint32_t>());
    if (key == "tokenizer.ggml.tokens") {
      for (uint64_t n = reader.array(type, Value::string); n != 0; --n)
        vocabulary.tokens.push_back(reader.string());
    } else if (key == "tokenizer.ggml.scores") {
      for (uint64_t n = reader.array(type, Value::f32); n != 0; --n)
        vocabulary.scores.push_back(reader.number<float>());
    } else if (key == "tokenizer.ggml.token_type") {
      for (uint64_t n = reader.array(type, Value::i32); n != 0; --n)
        vocabulary.types.push_back(reader.number<int32_t>());
    } else {
      reader.skip(type);
    }
  }
  if (vocabulary.tokens.empty() || vocabulary.scores.size() != vocabulary.tokens.size() ||
      vocabulary.types.size() != vocabulary.tokens.size())
    reader.fail("has no complete vocabulary");
  return vocabulary;
}

}  // namespace morsel::bench
