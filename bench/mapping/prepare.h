// SPDX-License-Identifier: MIT
// The ways to get a mapping ready, so that no later access faults.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "mapping.h"

namespace morsel::bench {

enum class Method {
  none,      ///< nothing: the floor
  populate,  ///< mmap with MAP_POPULATE
  touch,     ///< mmap, then one read per page
  list,      ///< mmap, then one read per page that nothing covers: see Plan::uncovered
  own,       ///< as the program that is measured does it
};

constexpr std::string_view name_of(Method method) {
  switch (method) {
    case Method::none:
      return "none";
    case Method::populate:
      return "populate";
    case Method::touch:
      return "touch";
    case Method::list:
      return "list";
    case Method::own:
      return "own";
  }
  return "";
}

constexpr std::optional<Method> method_by_name(std::string_view name) {
  for (const Method method :
       {Method::none, Method::populate, Method::touch, Method::list, Method::own})
    if (name_of(method) == name) return method;
  return std::nullopt;
}

struct Plan {
  Method method = Method::touch;
  std::vector<uint64_t> uncovered;  ///< page numbers, for Method::list
};

/// The address in a mapping where its slots go on in another table of the process, or null. A graft
/// needs that table, and only a fault there makes it. Where the kernel puts a mapping is chance, so
/// this is found out in each process and not in the plan.
inline const unsigned char* next_table(const MapRequest& request, const unsigned char* data) {
  const auto start = reinterpret_cast<uintptr_t>(data);
  const uintptr_t boundary = round_up(start + 1, request.table_bytes());
  return boundary < start + request.bytes ? data + (boundary - start) : nullptr;
}

/// Does what the plan says after mmap. (MAP_POPULATE is in mmap itself.)
inline void prepare(const Plan& plan, const MapRequest& request, const unsigned char* data) {
  if (plan.method == Method::touch)
    for (uint64_t page = 0; page < request.pages(); ++page) touch_page(data, page);
  if (plan.method != Method::list) return;
  for (const uint64_t page : plan.uncovered) touch_page(data, page);
  if (const unsigned char* more = next_table(request, data)) touch_page(more, 0);
}

}  // namespace morsel::bench
