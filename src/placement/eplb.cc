#include "placement/eplb.h"

#include "placement/eplb_layer.h"

namespace flexpert::placement {
namespace {

constexpr std::uint32_t kMostReplicas = 1048576;   // as validate(ExpertCluster)
constexpr std::uint64_t kMostSlots = 1ULL << 27;   // of all layers: 512 MiB

Result<void> check(const ExpertCounts& counts, const EplbShape& shape) {
  FLEXPERT_TRY(validate(counts));
  const std::uint32_t experts = counts.geometry.experts;
  if (shape.devices == 0 || shape.nodes == 0 || shape.groups == 0)
    return fail(ErrorCode::kInvalidArgument, "eplb: needs at least one device, node and group: {} devices, {} nodes, {} groups",
                shape.devices, shape.nodes, shape.groups);
  if (shape.replicas < experts)
    return fail(ErrorCode::kInvalidArgument, "eplb: needs a replica of each of the {} experts: {} replicas; raise replicas", experts,
                shape.replicas);
  if (shape.replicas > kMostReplicas || std::uint64_t{shape.replicas} * counts.geometry.layers > kMostSlots)
    return fail(ErrorCode::kInvalidArgument, "eplb: at most {} replicas a layer and {} in all: {} in {} layers; lower replicas",
                kMostReplicas, kMostSlots, shape.replicas, counts.geometry.layers);
  if (shape.replicas % shape.devices != 0)
    return fail(ErrorCode::kInvalidArgument, "eplb: replicas must divide by devices: {} replicas, {} devices", shape.replicas,
                shape.devices);
  if (shape.groups % shape.nodes != 0) return {};  // global: groups and nodes do not matter
  if (experts % shape.groups != 0)
    return fail(ErrorCode::kInvalidArgument, "eplb: experts must divide by groups: {} experts, {} groups", experts, shape.groups);
  if (shape.devices % shape.nodes != 0)
    return fail(ErrorCode::kInvalidArgument, "eplb: devices must divide by nodes: {} devices, {} nodes", shape.devices, shape.nodes);
  return {};
}

}  // namespace

Result<ExpertLayout> plan_eplb(const ExpertCounts& counts, const EplbShape& shape) {
  FLEXPERT_TRY(check(counts, shape));
  ExpertLayout out{counts.geometry, std::vector<std::uint32_t>(shape.devices, shape.replicas / shape.devices),
                   std::vector<std::int32_t>(std::size_t{counts.geometry.layers} * shape.replicas)};
  EplbLayer solver(counts.geometry.experts, shape);
  for (std::uint32_t l = 0; l < counts.geometry.layers; ++l) solver.plan(counts.layer(l), out.layer(l));
  return out;
}

}  // namespace flexpert::placement
