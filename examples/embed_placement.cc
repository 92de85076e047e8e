// Plans the experts of an engine of one's own: link flexpert_placement, include one header.
#include <cstdio>
#include <utility>
#include <vector>

#include "placement/placement.h"

using namespace flexpert;

int main() {
  // Tokens that chose each of 8 experts in 2 layers, as a router counts them.
  placement::PlanRequest request;
  request.counts = {{.layers = 2, .experts = 8}, {90, 10, 20, 10, 10, 30, 10, 20, 5, 5, 80, 5, 40, 5, 5, 5}, 100};
  request.cluster = ExpertCluster::uniform(4, 2, 3);  // 4 GPUs on 2 nodes, 3 slots each in every layer

  const auto plan = placement::plan_experts(request);
  if (!plan) return std::fprintf(stderr, "%s\n", plan.error().message.c_str()), 1;
  std::printf("balancedness %.4f, proven bound %.4f\n", plan->balance.balancedness, plan->balance.bound);
  for (std::uint32_t layer = 0; layer < 2; ++layer) {
    std::printf("layer %u:", layer);
    for (const std::int32_t expert : plan->layout.layer(layer)) std::printf(" %d", expert);
    std::printf("\n");
  }

  // Later the load has drifted: at most two slots may change.
  std::swap(request.counts.count[0], request.counts.count[3]);
  request.current = plan->layout;
  request.mode = placement::PlanMode::kIncremental;
  request.max_moves = 2;
  const auto next = placement::plan_experts(request);
  if (!next) return std::fprintf(stderr, "%s\n", next.error().message.c_str()), 1;
  std::printf("balancedness %.4f -> %.4f\n", next->before.balancedness, next->balance.balancedness);
  for (const SlotMove& move : next->moves.moves)
    std::printf("layer %u slot %u: expert %d -> %d (%s)\n", move.layer, move.slot, move.from_expert, move.to_expert, name_of(move.kind));

  // A batch of three tokens with two experts each goes to replicas.
  auto dispatch = placement::make_dispatch(next->layout, 0, request.cluster, placement::DispatchPolicy::kLeastLoaded);
  if (!dispatch) return std::fprintf(stderr, "%s\n", dispatch.error().message.c_str()), 1;
  const std::vector<std::uint8_t> experts = {3, 5, 3, 2, 3, 7};
  std::vector<std::uint32_t> slots(experts.size());
  dispatch->assign(experts, 2, {}, slots);
  for (std::size_t i = 0; i < slots.size(); ++i) std::printf("token %zu, expert %d: slot %u\n", i / 2, experts[i], slots[i]);
  return 0;
}
