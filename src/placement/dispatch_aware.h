#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/expert_layout.h"
#include "fleet/placement_plan.h"
#include "placement/window_balance.h"

namespace flexpert::placement {

struct DispatchAwareOptions {
  std::uint32_t most_windows = 128;     ///< looked at, evenly over those given; the search's time grows with them
  std::uint32_t passes = 8;             ///< over all exchanges of a layer, at most
  std::optional<ExpertLayout> current;  ///< to start from, instead of a plan for the windows' sum
  /// With `current`: slots that may change; the exchanges that gain most by slot are taken.
  std::uint64_t slots = UINT64_MAX;
  double least_gain = 0;                ///< with a limit on `slots`: share of a layer's cost that a changed slot must gain
};

struct DispatchAwarePlan {
  PlacementPlan plan;   ///< mode "dispatch_aware"; balance: of the windows' sum, split evenly
  WindowBalance start;  ///< of the layout that the search began with, over the windows looked at
  WindowBalance reached;
};

/// Plans for engines that choose replicas by load (dispatch policy least_loaded), step by step: from the loads of many
/// short windows, about as many tokens each as a step or a few, it chooses replicas and places them so that the sum over
/// windows of the largest device load is small when every window's load is split as well as its replicas allow. Which
/// experts are hot together matters then, and which devices share experts, more than an even sum. Replicas do not share a
/// device. Devices may differ in slots and speed, and be dead (their slots are empty then); failure domains are plan_robust()'s. Deterministic.
/// Errors: no window, different geometries, fewer living slots than experts, an expert that `current` does not serve.
Result<DispatchAwarePlan> plan_dispatch_aware(std::span<const ExpertCounts> windows, const ExpertCluster& cluster,
                                              const DispatchAwareOptions& options = {});

}  // namespace flexpert::placement
