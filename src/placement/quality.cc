#include "placement/quality.h"

#include <algorithm>

#include <fmt/format.h>

#include "placement/balance.h"
#include "placement/layer_packing.h"

namespace flexpert::placement {

Result<PlacementPlan> plan_quality(const ExpertCounts& counts, const ExpertCluster& cluster) {
  FLEXPERT_TRY(validate(counts));
  FLEXPERT_TRY(validate(cluster));
  LayerPacking packing(cluster, counts.geometry.experts);
  if (packing.room() < counts.geometry.experts)
    return fail(ErrorCode::kInvalidArgument, "quality plan: {} experts need as many slots on living devices: there are {}; add slots", counts.geometry.experts,
                packing.room());
  PlacementPlan out{.mode = "quality", .layout = {.geometry = counts.geometry, .slots_of_device = {}, .expert_of_slot = {}}, .balance = {}, .before = {}, .moves = {}, .reasons = {}};
  for (const ExpertDevice& device : cluster.devices) out.layout.slots_of_device.push_back(device.slots);
  out.layout.expert_of_slot.resize(std::size_t{counts.geometry.layers} * cluster.slots());
  for (std::uint32_t l = 0; l < counts.geometry.layers; ++l) packing.plan(counts.layer(l), packing.room(), out.layout.layer(l));
  out.balance = balance_of(out.layout, cluster, counts);
  return out;
}

}  // namespace flexpert::placement
