// SPDX-License-Identifier: MIT
// What clients ask the holder for. Every byte of it may be hostile.
#pragma once

#include <morsel/morsel.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "result.h"

namespace morsel::holder {

enum class Operation { hello, publish, open, remove, list, begin, stop };

/// Fields that the operation does not have are empty.
struct Request {
  Operation operation{};
  std::string name, prefix, after;
  nlohmann::json attributes = nlohmann::json::object();
  morsel_backend backend = MORSEL_ANY;
  uint64_t bytes = 0;
  unsigned mode = 0;
  bool replace = false, write = false, if_unused = false, wait = false;
};

/// -EBADMSG: it is no request of this version, and why.
Result<Request> parse_request(const std::string& text);

}  // namespace morsel::holder
