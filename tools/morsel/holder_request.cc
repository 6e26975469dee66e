// SPDX-License-Identifier: MIT
#include "holder_request.h"

#include <cerrno>
#include <limits>
#include <map>

#include "holder_client.h"
#include "store.h"

namespace morsel::holder {

namespace {

using nlohmann::json;

// What a list can hold of one entry besides its name.
constexpr size_t longest_attributes = 32 << 10;
constexpr size_t longest_name = 205;  // "name-" and 200 bytes

Error bad(const std::string& why) { return {-EBADMSG, "a request " + why}; }

// Reads fields and remembers the first that is wrong.
class Reader {
 public:
  explicit Reader(const json& from) : from_(from) {}

  std::string text(const char* field) {
    const json* value = find(field, "text", [](const json& v) { return v.is_string(); });
    return value ? value->get<std::string>() : std::string();
  }
  uint64_t number(const char* field, uint64_t most) {
    const json* value = find(field, "number", [](const json& v) { return v.is_number_unsigned(); });
    const uint64_t result = value ? value->get<uint64_t>() : 0;
    if (result > most) complain(std::string("has too large a '") + field + "'");
    return result;
  }
  /// False if it is not there.
  bool flag(const char* field) {
    if (!from_.contains(field)) return false;
    const json* value = find(field, "truth value", [](const json& v) { return v.is_boolean(); });
    return value && value->get<bool>();
  }
  std::string entry(const char* field) {
    std::string name = text(field);
    const bool begins = name.starts_with(prefix_of_names) || name.starts_with(prefix_of_files);
    if (!begins || name.size() <= prefix_of_names.size() || name.size() > longest_name ||
        name.find('/') != std::string::npos || name.find('\0') != std::string::npos)
      complain("has a name that no entry can have");
    return name;
  }
  json attributes(const char* field) {
    const json* value = find(field, "object", [](const json& v) { return v.is_object(); });
    if (!value) return json::object();
    if (value->dump().size() > longest_attributes) complain("has too many attributes");
    return *value;
  }
  morsel_backend backend(const char* field) {
    const int found = morsel_backend_parse(text(field).c_str(), nullptr);
    if (found != MORSEL_HUGETLB && found != MORSEL_MEMFD) complain("has an unknown backend");
    return morsel_backend(found);
  }

  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  template <typename Is>
  const json* find(const char* field, const char* type, Is&& is) {
    const auto found = from_.find(field);
    if (found != from_.end() && is(*found)) return &*found;
    complain(std::string("needs a '") + field + "' that is a " + type);
    return nullptr;
  }
  void complain(const std::string& why) {
    if (complaint_.empty()) complaint_ = why;
  }

  const json& from_;
  std::string complaint_;
};

}  // namespace

Result<Request> parse_request(const std::string& text) {
  static const std::map<std::string, Operation> operations{
      {"hello", Operation::hello},   {"publish", Operation::publish}, {"open", Operation::open},
      {"remove", Operation::remove}, {"list", Operation::list},       {"begin", Operation::begin},
      {"stop", Operation::stop}};
  const json from = json::parse(text, nullptr, false);
  if (!from.is_object()) return bad("is one JSON object");
  Reader reader(from);
  const auto operation = operations.find(reader.text("op"));
  if (operation == operations.end()) return bad("has an unknown 'op'");

  Request request;
  request.operation = operation->second;
  switch (request.operation) {
    case Operation::hello:
      if (reader.number("version", std::numeric_limits<uint32_t>::max()) != holder_version &&
          reader.complaint().empty())
        return Error{-EPROTONOSUPPORT, "this holder speaks version " +
                                           std::to_string(holder_version) +
                                           "; `morsel holder --stop` makes room for another"};
      break;
    case Operation::publish:
      request.name = reader.entry("name");
      request.attributes = reader.attributes("attributes");
      request.mode = unsigned(reader.number("mode", 0777));
      request.backend = reader.backend("backend");
      request.bytes = reader.number("bytes", std::numeric_limits<int64_t>::max());
      request.replace = reader.flag("replace");
      break;
    case Operation::open:
      request.name = reader.entry("name");
      request.write = reader.flag("write");
      break;
    case Operation::remove:
      request.name = reader.entry("name");
      request.if_unused = reader.flag("if_unused");
      break;
    case Operation::list:
      request.prefix = reader.text("prefix");
      request.after = reader.text("after");
      break;
    case Operation::begin:
      request.name = reader.entry("name");
      request.wait = reader.flag("wait");
      break;
    case Operation::stop:
      break;
  }
  if (!reader.complaint().empty()) return bad(reader.complaint());
  return request;
}

}  // namespace morsel::holder
