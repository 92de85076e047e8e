#include "flexpert/place_outcome.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "flexpert/place_cluster.h"
#include "flexpert/place_layout.h"
#include "flexpert/place_source.h"
#include "placement/balance.h"
#include "report/placement_tables.h"

namespace flexpert::app {

std::string describe(const ExpertCluster& cluster) {
  const std::vector<ExpertDevice>& devices = cluster.devices;
  const auto [least, most] =
      std::minmax_element(devices.begin(), devices.end(), [](const ExpertDevice& a, const ExpertDevice& b) { return a.slots < b.slots; });
  std::string text = fmt::format("{} GPUs on {} node{}, ", devices.size(), cluster.nodes(), cluster.nodes() == 1 ? "" : "s");
  text += least->slots == most->slots ? fmt::format("{} slots each", most->slots)
                                      : fmt::format("{} to {} slots each", least->slots, most->slots);
  const auto dead = std::count_if(devices.begin(), devices.end(), [](const ExpertDevice& device) { return !device.alive; });
  if (dead > 0) text += fmt::format(", {} of them dead", dead);
  if (std::any_of(devices.begin(), devices.end(), [&](const ExpertDevice& device) { return device.speed != devices[0].speed; }))
    text += ", of different speeds";
  return text;
}

std::string describe(const ExpertCounts& counts) {
  double choices = 0;
  for (const double count : counts.count) choices += count;
  std::string text = fmt::format("{} layers x {} experts, ", counts.geometry.layers, counts.geometry.experts);
  if (counts.tokens > 0) return text + report::grouped(counts.tokens) + " tokens";
  return text + fmt::format("{} choices a layer",
                            report::grouped(static_cast<std::uint64_t>(std::llround(std::min(choices / counts.geometry.layers, 1e18)))));
}

std::optional<report::PlacementBefore> layout_before(const std::optional<ExpertLayout>& in_force, const ExpertCluster& cluster,
                                                     const ExpertCounts& counts) {
  std::optional<ExpertLayout> layout =
      in_force ? std::optional(living_part(*in_force, cluster)) : unbalanced_layout(counts.geometry, cluster);
  if (!layout) return std::nullopt;
  Balance balance = placement::balance_of(*layout, cluster, counts);
  return report::PlacementBefore{in_force ? "in force" : "experts in order", std::move(*layout), std::move(balance)};
}

Result<void> write_page(const std::string& path, const PlacementPlan& plan, const ExpertCluster& cluster, const ExpertCounts& counts,
                        const report::PlacementPage& page) {
  return write_place_bytes(path, report::placement_html(plan, cluster, counts, page));
}

}  // namespace flexpert::app
