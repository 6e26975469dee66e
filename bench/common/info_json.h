// SPDX-License-Identifier: MIT
// The info ioctl's fields under their own names.
#pragma once

#include <morselfs.h>

#include <nlohmann/json.hpp>

namespace morsel::bench {

inline nlohmann::ordered_json to_json(const morselfs_info& info) {
  return {
      {"bytes", info.bytes},
      {"leaves_4k", info.leaves_4k},
      {"leaves_2m", info.leaves_2m},
      {"table_bytes", info.table_bytes},
      {"mappings", info.mappings},
      {"graft_pud_slots", info.graft_pud_slots},
      {"graft_pmd_slots", info.graft_pmd_slots},
      {"raw_pages", info.raw_pages},
      {"grafted_bytes", info.grafted_bytes},
      {"self_grafted_bytes", info.self_grafted_bytes},
  };
}

}  // namespace morsel::bench
