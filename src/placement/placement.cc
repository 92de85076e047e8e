#include "placement/placement.h"

#include "placement/balance.h"
#include "placement/eplb.h"
#include "placement/explain.h"
#include "placement/incremental.h"
#include "placement/moves.h"
#include "placement/quality.h"

namespace flexpert::placement {

namespace {

ExpertCounts no_load(ExpertGeometry geometry) { return {geometry, std::vector<double>(geometry.size()), 0}; }

Result<PlacementPlan> plan_like_eplb(const PlanRequest& request) {
  const std::vector<ExpertDevice>& devices = request.cluster.devices;
  for (const ExpertDevice& device : devices)
    if (!device.alive || device.slots != devices[0].slots || device.speed != 1)
      return fail(ErrorCode::kInvalidArgument, "exact mode plans for living devices that are alike: device {} is not",
                  &device - devices.data());
  PlacementPlan plan;
  plan.mode = "exact";
  FLEXPERT_ASSIGN(plan.layout, plan_eplb(request.counts, {request.cluster.slots(), request.groups, request.cluster.nodes(),
                                                          static_cast<std::uint32_t>(devices.size())}));
  plan.balance = balance_of(plan.layout, request.cluster, request.counts);
  return plan;
}

}  // namespace

Result<PlacementPlan> plan_experts(const PlanRequest& request) {
  FLEXPERT_TRY(validate(request.cluster));
  FLEXPERT_TRY(validate(request.counts));
  if (request.current) FLEXPERT_TRY(check_match(*request.current, request.cluster, request.counts));
  if (request.mode == PlanMode::kIncremental) {
    if (!request.current) return fail(ErrorCode::kInvalidArgument, "incremental mode needs the layout in force: set PlanRequest::current");
    return plan_incremental(request.counts, request.cluster, *request.current,
                            {.slots = request.max_moves, .bytes_per_expert = request.bytes_per_expert});
  }
  FLEXPERT_ASSIGN(PlacementPlan plan,
                  request.mode == PlanMode::kExact ? plan_like_eplb(request) : plan_quality(request.counts, request.cluster));
  if (!request.current) return plan;
  if (request.mode == PlanMode::kQuality) align_slots(*request.current, plan.layout);
  plan.before = balance_of(*request.current, request.cluster, request.counts);
  plan.moves = moves_between(*request.current, plan.layout, request.cluster, request.bytes_per_expert);
  return plan;
}

Result<Balance> evaluate_layout(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts) {
  FLEXPERT_TRY(check_match(layout, cluster, counts));
  return balance_of(layout, cluster, counts);
}

Result<MoveList> compare_layouts(const ExpertLayout& from, const ExpertLayout& to, const ExpertCluster& cluster,
                                 std::uint64_t bytes_per_expert) {
  FLEXPERT_TRY(check_match(from, cluster, no_load(from.geometry)));
  FLEXPERT_TRY(check_match(to, cluster, no_load(from.geometry)));
  return moves_between(from, to, cluster, bytes_per_expert);
}

Result<std::vector<std::string>> explain_replicas(const PlacementPlan& plan, const ExpertCluster& cluster, const ExpertCounts& counts,
                                                  ExpertSlot expert) {
  FLEXPERT_TRY(check_match(plan.layout, cluster, counts));
  if (!counts.geometry.contains(expert))
    return fail(ErrorCode::kInvalidArgument, "no such expert: layer {}, expert {} of {} layers x {} experts", expert.layer, expert.expert,
                counts.geometry.layers, counts.geometry.experts);
  std::vector<std::string> sentences;
  for (Reason& reason : explain_expert(plan, cluster, counts, expert)) sentences.push_back(std::move(reason.text));
  return sentences;
}

Result<TokenDispatch> make_dispatch(const ExpertLayout& layout, std::uint32_t layer, const ExpertCluster& cluster, DispatchPolicy policy) {
  FLEXPERT_TRY(check_match(layout, cluster, no_load(layout.geometry)));
  if (layer >= layout.geometry.layers) return fail(ErrorCode::kInvalidArgument, "no such layer: {} of {}", layer, layout.geometry.layers);
  return TokenDispatch(layout, layer, cluster, policy);
}

}  // namespace flexpert::placement
