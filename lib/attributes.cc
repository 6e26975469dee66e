// SPDX-License-Identifier: MIT
#include "attributes.h"

#include <nlohmann/json.hpp>

namespace morsel {

namespace {

using nlohmann::json;

bool is_utf8(const std::string& text) {
  try {
    (void)json(text).dump();
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

// A path may have any bytes, JSON has only UTF-8: others as a list of numbers.
json path_to_json(const std::string& path) {
  if (is_utf8(path)) return path;
  return std::vector<unsigned char>(path.begin(), path.end());
}

std::string path_from_json(const json& from, const char* field) {
  const auto found = from.find(field);
  if (found == from.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  std::string path;
  if (found->is_array())
    for (const json& byte : *found)
      if (byte.is_number_unsigned()) path += char(byte.get<unsigned>());
  return path;
}

template <typename Number>
Number number_from_json(const json& from, const char* field) {
  const auto found = from.find(field);
  return found != from.end() && found->is_number_integer() ? found->get<Number>() : Number(0);
}

}  // namespace

std::string Attributes::text() const {
  json all{{"source", path_to_json(source)}, {"loaded_at", loaded_at}, {"loaded_by", loaded_by}};
  if (!model.empty()) all["model"] = path_to_json(model);
  return all.dump();
}

Attributes Attributes::parse(const std::string& text) {
  const json from = json::parse(text, nullptr, false);
  if (!from.is_object()) return {};
  return {path_from_json(from, "source"), path_from_json(from, "model"),
          number_from_json<int64_t>(from, "loaded_at"),
          number_from_json<uint32_t>(from, "loaded_by")};
}

}  // namespace morsel
