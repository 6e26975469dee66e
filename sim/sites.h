// SPDX-License-Identifier: MIT
//
// The names of core/site.h's places, from the compiler.
#pragma once

#include <array>
#include <utility>

#include "core.h"

namespace morsel::sim {

inline constexpr unsigned site_count = static_cast<unsigned>(Site::count);

template <Site S>
constexpr std::string_view name_of_site() {
  constexpr std::string_view text = __PRETTY_FUNCTION__;
  constexpr size_t from = text.find("Site::") + 6;
  return text.substr(from, text.find_first_of(";]", from) - from);
}

template <size_t... I>
constexpr std::array<std::string_view, sizeof...(I)> names_of_sites(std::index_sequence<I...>) {
  return {name_of_site<static_cast<Site>(I)>()...};
}

inline constexpr auto site_names = names_of_sites(std::make_index_sequence<site_count>());

/// Site::count if there is none of this name.
inline Site site_of(std::string_view name) {
  unsigned site = 0;
  while (site < site_count && site_names[site] != name) site++;
  return static_cast<Site>(site);
}

}  // namespace morsel::sim
