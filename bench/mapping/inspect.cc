// SPDX-License-Identifier: MIT
#include "inspect.h"

#include "checksum.h"
#include "info.h"
#include "info_json.h"
#include "leaf.h"
#include "maps.h"
#include "prepare.h"
#include "process.h"

namespace morsel::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t list_limit = 4096;

bool covered(const Mapping& mapping, uint64_t pages) {
  const auto info = query_info(mapping.fd());
  return info && info->self_grafted_bytes >= pages * page_bytes;
}

/// "4k", "2m", "mixed", or null when there is nothing to tell. `other` is between these sizes: the
/// page cache has such folios.
Json leaf_name(uint64_t small, uint64_t other, uint64_t large, uint64_t tail) {
  if (small + other + large == 0) return nullptr;
  // What is left behind the last whole 2 MiB cannot be a large leaf.
  if (large != 0) return small + other <= tail ? "2m" : "mixed";
  return other <= tail ? "4k" : "mixed";
}

Json survey_json(const LeafSurvey& survey, uint64_t pages) {
  if (!survey.permitted) return {{"size", nullptr}, {"why", "frame numbers are hidden"}};
  const uint64_t looked = survey.small + survey.large + survey.other + survey.absent;
  const uint64_t tail_looks = looked == 0 ? 0 : 512 * looked / pages + 1;
  Json json{{"size", leaf_name(survey.small, survey.other, survey.large, tail_looks)}};
  json["pages_4k"] = survey.small;
  json["pages_2m"] = survey.large;
  json["pages_other"] = survey.other;
  json["pages_absent"] = survey.absent;
  json["pmd_mapped_bytes"] = survey.pmd_mapped;
  return json;
}

}  // namespace

std::vector<uint64_t> find_uncovered(const MapRequest& request, const Mapping& mapping,
                                     uint64_t limit) {
  const uint64_t pages = request.pages();
  std::vector<uint64_t> uncovered;
  // The list must not allocate between two readings of the fault counter.
  uncovered.reserve(limit + 1);
  if (covered(mapping, pages)) return uncovered;
  touch_page(mapping.data(), 0);
  uncovered.push_back(0);
  if (const unsigned char* more = next_table(request, mapping.data())) touch_page(more, 0);
  if (covered(mapping, pages)) return uncovered;

  uint64_t before = faults();
  for (uint64_t page = 1; page < pages && uncovered.size() <= limit; ++page) {
    touch_page(mapping.data(), page);
    const uint64_t now = faults();
    if (now != before) uncovered.push_back(page);
    before = now;
  }
  return uncovered;
}

Json inspect(const MapRequest& request, bool find) {
  const Mapping mapping(request);
  Json json;
  if (find) {
    const auto uncovered = find_uncovered(request, mapping, list_limit);
    json["too_many_uncovered"] = uncovered.size() > list_limit;
    json["uncovered"] = uncovered;
  }
  json.update(describe(mapping.data(), request.bytes, mapping.fd()));
  return json;
}

Json describe(const unsigned char* data, uint64_t bytes, int fd) {
  Json json{{"backing", backing_of(data)}, {"checksum", checksum_text(data, bytes)}};
  const uint64_t pages = round_up(bytes, page_bytes) / page_bytes;
  json["kpageflags"] = survey_json(survey_leaves(data, pages), pages);
  if (const auto info = query_info(fd)) {
    json["info"] = to_json(*info);
    json["info"]["size"] = leaf_name(info->leaves_4k * page_bytes, 0,
                                     info->leaves_2m * pmd_slot_bytes, pmd_slot_bytes - 1);
  }
  return json;
}

}  // namespace morsel::bench
