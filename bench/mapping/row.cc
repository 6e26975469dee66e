// SPDX-License-Identifier: MIT
#include "row.h"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <vector>

#include "file_copy.h"
#include "prepare.h"
#include "sample.h"
#include "spawn.h"

namespace morsel::bench {
namespace {

using Json = nlohmann::ordered_json;

/// Writing a file of more than this takes seconds.
constexpr uint64_t large_file_bytes = uint64_t{256} << 20;
constexpr unsigned large_firsts = 5;
/// And of more than this, tens of seconds.
constexpr uint64_t very_large_file_bytes = uint64_t{4} << 30;
constexpr unsigned very_large_firsts = 3;
/// First mapping over the median of all: what to look at twice.
constexpr double suspicious_first = 1.5;

/// Processes of one row; each call is one fresh process.
class Row {
 public:
  explicit Row(const RowOptions& options) : options_(options) {}

  Sample sample(const Plan& plan, bool again) const {
    return sample_of(options_.file, options_.bytes, plan,
                     again ? std::vector<std::string>{} : std::vector<std::string>{"--once"});
  }

  Json inspect() const {
    return Json::parse(output_of(arguments("inspect", options_.file, options_.bytes)));
  }

  /// Takes the system's code through its paths with another file, which may be a sparse one. The
  /// fastest of three.
  double warm_up(const Plan& plan) const {
    const uint64_t bytes = file_bytes(options_.warm);
    double best = std::numeric_limits<double>::max();
    for (int i = 0; i < 3; ++i) {
      const Sample sample = sample_of(options_.warm, bytes, plan, {"--once", "--no-sweep"});
      best = std::min(best, sample.ready_us);
    }
    return best;
  }

  void write_file() const {
    if (options_.source.empty()) return;
    ::unlink(options_.file.c_str());
    if (options_.system.huge_tlb)
      copy_by_mapping(options_.source, options_.file);
    else
      copy_with_cp(options_.source, options_.file);
  }

 private:
  Sample sample_of(const std::string& file, uint64_t bytes, const Plan& plan,
                   const std::vector<std::string>& more) const {
    auto list = arguments("sample", file, bytes);
    list.insert(list.end(), {"--method", std::string(name_of(plan.method))});
    std::string pages;
    for (const uint64_t page : plan.uncovered) {
      if (!pages.empty()) pages += ',';
      pages += std::to_string(page);
    }
    if (!pages.empty()) list.insert(list.end(), {"--uncovered", pages});
    list.insert(list.end(), more.begin(), more.end());
    if (options_.warm_inside) list.insert(list.end(), {"--warm", options_.warm});
    return nlohmann::json::parse(output_of(list)).get<Sample>();
  }

  std::vector<std::string> arguments(const char* command, const std::string& file,
                                     uint64_t bytes) const {
    std::vector<std::string> list = options_.program;
    list.insert(list.end(), {command, "--system", std::string(options_.system.name), "--file", file,
                             "--bytes", std::to_string(bytes)});
    return list;
  }

  const RowOptions& options_;
};

/// Of numbers; counts stay whole numbers where they can.
Json median(std::vector<Json> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  if (values.size() % 2 != 0 || values[middle - 1] == values[middle]) return values[middle];
  return (values[middle - 1].get<double>() + values[middle].get<double>()) / 2;
}

/// Adds the median of each figure under its name, and all of them under `samples`.
void add_samples(Json& row, const std::vector<Sample>& samples) {
  const Json all = nlohmann::json(samples);
  Json raw;
  for (const std::string field : {"ready_us", "ready_faults", "sweep_faults", "unmap_us",
                                  "again_us", "vmpte_bytes", "sweep_us"}) {
    std::vector<Json> values;
    for (const Json& sample : all)
      if (field != "again_us" || sample[field] != 0.0) values.push_back(sample[field]);
    row[field] = median(values);
    if (field == "ready_us") row["max_us"] = *std::max_element(values.begin(), values.end());
    raw[field] = std::move(values);
  }
  row["samples"] = raw;
}

Plan initial_plan(const System& system) {
  switch (system.ready) {
    case Ready::never:
      return {Method::none, {}};
    case Ready::uncovered:
      // Until the file was looked at: one read of the first page is all that should be needed.
      return {Method::list, {0}};
    case Ready::own:
      return {Method::own, {}};
    case Ready::pages:
      break;
  }
  return {Method::touch, {}};
}

/// What to read until a morsel is ready: what inspect found.
Plan morsel_plan(const Json& seen, Json& out) {
  if (seen["too_many_uncovered"].get<bool>()) {
    out["uncovered_pages"] = nullptr;
    return {Method::touch, {}};
  }
  Plan plan{Method::list, seen["uncovered"].get<std::vector<uint64_t>>()};
  out["uncovered_pages"] = plan.uncovered.size();
  return plan;
}

/// The faster of the two ways for systems that are mapped by pages; `first` was taken with `plan`.
Plan faster_plan(const Row& row, const Plan& plan, const Sample& first, Json& out) {
  const bool touched = plan.method == Method::touch;
  const Plan other{touched ? Method::populate : Method::touch, {}};
  const double one = first.ready_us;
  const double two = row.sample(other, false).ready_us;
  out["one_touch_us"] = touched ? one : two;
  out["one_populate_us"] = touched ? two : one;
  return two < one ? other : plan;
}

void add_findings(Json& out, const Json& seen, const std::string& checksum) {
  const bool info = seen.contains("info");
  out["leaf"] = {{"info", info ? seen["info"]["size"] : Json()},
                 {"kpageflags", seen["kpageflags"]["size"]}};
  out["kpageflags"] = seen["kpageflags"];
  if (info) out["info"] = seen["info"];
  out["backing"] = seen["backing"];
  out["checksum"] = seen["checksum"];
  if (!checksum.empty()) out["checksum_ok"] = seen["checksum"] == checksum;
}

/// The first guess of how to begin: the better way for a small file, if there is one.
Plan warmed_plan(const Row& row, const System& system, bool warm) {
  Plan plan = initial_plan(system);
  if (!warm) return plan;
  const double warm_us = row.warm_up(plan);
  if (plan.method == Method::touch && row.warm_up({Method::populate, {}}) < warm_us)
    plan.method = Method::populate;
  return plan;
}

}  // namespace

Json measure_row(RowOptions options) {
  if (options.bytes == 0)
    options.bytes = file_bytes(options.source.empty() ? options.file : options.source);
  const Row row(options);
  const System& system = options.system;

  Json out{{"system", system.name}, {"bytes", options.bytes}};
  Plan plan = warmed_plan(row, system, !options.warm.empty());
  std::vector<Json> firsts;
  const auto take_first = [&] {
    row.write_file();
    const Sample first = row.sample(plan, false);
    firsts.emplace_back(first.ready_us);
    return first;
  };

  const Sample first = take_first();
  if (system.touched()) {
    const Json seen = row.inspect();
    add_findings(out, seen, options.checksum);
    if (system.ready == Ready::uncovered) plan = morsel_plan(seen, out);
    if (system.by_pages()) plan = faster_plan(row, plan, first, out);
  }
  out["method"] = name_of(plan.method);
  // The first guess left pages that fault: that sample does not tell when the file was ready.
  if (system.ready == Ready::uncovered && first.sweep_faults != 0) firsts.clear();
  const bool rewritable = !options.source.empty();
  const bool large = options.bytes > large_file_bytes;
  if (firsts.empty()) take_first();
  while (rewritable && !large && firsts.size() < options.firsts) take_first();

  // Mapping page by page takes long, and a second mapping as long as the first.
  const unsigned agains = system.by_pages() ? 3 : options.samples;
  std::vector<Sample> samples;
  for (unsigned i = 0; i < options.samples; ++i) samples.push_back(row.sample(plan, i < agains));
  add_samples(out, samples);
  // One slow figure may be chance (another program had the CPU), the median of several is not.
  if (rewritable && large && !system.by_pages() &&
      firsts.front().get<double>() > suspicious_first * out["ready_us"].get<double>())
    while (firsts.size() < std::min(options.firsts, options.bytes > very_large_file_bytes
                                                        ? very_large_firsts
                                                        : large_firsts))
      take_first();
  out["samples"]["first_us"] = firsts;
  out["first_us"] = median(firsts);
  out["warm"] = options.warm_inside ? "other file, same process" : "other file, other process";
  return out;
}

}  // namespace morsel::bench
