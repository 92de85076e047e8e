#include "flexpert/place_writer.h"

#include <algorithm>
#include <cmath>
#include <ctime>

#include <fmt/chrono.h>

#include "codec/expert_counts_csv.h"
#include "codec/expert_counts_json.h"
#include "codec/expert_location.h"
#include "codec/npy.h"
#include "codec/placement_json.h"
#include "codec/recorder_dump.h"
#include "codec/vllm_expert_map.h"
#include "flexpert/place_arguments.h"
#include "flexpert/place_source.h"

namespace flexpert::app {

namespace {

/// What was asked for, for people who find the file later.
std::vector<std::pair<std::string, std::string>> options_of(const PlaceOptions& o) {
  std::vector<std::pair<std::string, std::string>> out{{"verb", name_of(o.verb)}};
  if (o.verb == PlaceVerb::kSize) {
    out.emplace_back("target", fmt::format("{}", o.target));
    if (o.max_redundant > 0) out.emplace_back("max-redundant", std::to_string(o.max_redundant));
    return out;
  }
  if (o.groups != 1) out.emplace_back("groups", std::to_string(o.groups));
  if (o.affinity) out.emplace_back("affinity", fmt::format("{}", *o.affinity));
  for (const PlaceCase& one : o.cases) out.emplace_back("case", fmt::format("{}={}:{}", one.name, one.source, one.weight));
  if (o.each_window) out.emplace_back("each-window", "true");
  if (!o.cases.empty() || o.each_window) out.emplace_back("objective", o.objective);
  if (!o.current.empty()) out.emplace_back("current", o.current);
  if (o.max_moves) out.emplace_back("max-moves", std::to_string(*o.max_moves));
  if (o.max_moves_percent) out.emplace_back("max-moves-percent", fmt::format("{}", *o.max_moves_percent));
  if (o.max_bytes) out.emplace_back("max-bytes", std::to_string(*o.max_bytes));
  if (o.bytes_per_expert > 0) out.emplace_back("bytes-per-expert", std::to_string(o.bytes_per_expert));
  if (o.cost != "none") out.emplace_back("cost", o.cost);
  if (o.tokens_per_device) out.emplace_back("tokens-per-device", fmt::format("{}", *o.tokens_per_device));
  if (o.least_gain > 0) out.emplace_back("least-gain", fmt::format("{}", o.least_gain));
  return out;
}

}  // namespace

Result<std::string> engine_form(const ExpertLayout& layout, const std::string& format, const std::string& target) {
  if (format == "sglang" && target.ends_with(".pt")) return codec::write_expert_location_pt(layout);
  if (format == "sglang") return codec::write_expert_location_json(layout);
  return format == "vllm" ? codec::write_vllm_expert_map(layout) : codec::write_ascend_expert_map(layout);
}

Result<std::string> counts_form(const ExpertCounts& counts, const std::string& format) {
  if (format == "csv") return codec::write_expert_counts_csv(counts);
  if (format == "pt") return codec::write_stat_dump({counts});
  if (format == "npy") {
    const bool whole =
        std::all_of(counts.count.begin(), counts.count.end(), [](double count) { return count == std::floor(count) && count <= 0x1p53; });
    return codec::write_npy(codec::array_of(counts), whole ? codec::NpyType::kInt64 : codec::NpyType::kFloat64);
  }
  return codec::write_expert_counts_json(counts);
}

Result<void> write_plan(const std::string& target, const std::string& format, const PlacementPlan& plan, const ExpertCluster& cluster,
                        const ExpertCounts& counts, const PlaceOptions& options) {
  if (!format.empty() && format != "ours") {
    FLEXPERT_ASSIGN(const std::string bytes, engine_form(plan.layout, format, target));
    return write_place_bytes(target, bytes);
  }
  codec::PlacementProvenance provenance;
  provenance.tool_version = FLEXPERT_VERSION;
  provenance.created = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  provenance.counts_source = options.counts;
  provenance.counts_digest = codec::digest_of(counts);
  provenance.options = options_of(options);
  return write_place_bytes(target, codec::write_placement_json({plan, cluster, std::move(provenance)}));
}

}  // namespace flexpert::app
