#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"
#include "placement/step_cost.h"

namespace flexpert::placement {

struct MoveBudget {
  std::uint64_t slots = UINT64_MAX;  ///< that may change
  std::uint64_t bytes = UINT64_MAX;  ///< that may travel
  std::uint64_t bytes_per_expert = 0;
};

/// Whether a change pays: saving per step * steps until the next plan > what its moves cost.
struct Worth {
  const StepCost* cost = nullptr;    ///< never null
  double tokens_per_device = 0;      ///< per step
  double steps = 0;                  ///< that the plan is expected to be in force
  double bytes_per_ms_same_node = 0; ///< of a device's links; 0: moves are free
  double bytes_per_ms_cross_node = 0;
  double least_gain = 0;             ///< of balancedness, below which nothing is done
};

/// Plans from the layout in force within a budget: the best replication and packing that changes at most so many slots.
/// Promises: the budget holds; under `counts` no layer is worse than before; slots that do not change keep their place;
/// slots that must change (an expert without a living slot) come first, and an error names them if the budget is too
/// small for them. Without `worth` any improvement counts. Deterministic.
Result<PlacementPlan> plan_incremental(const ExpertCounts& counts, const ExpertCluster& cluster, const ExpertLayout& current,
                                       const MoveBudget& budget, const std::optional<Worth>& worth = std::nullopt);

}  // namespace flexpert::placement
