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

/// Checks every number of `worth`; the message names it.
Result<void> validate(const Worth& worth);

/// Plans from the layout in force within a budget: the best replication and packing that changes at most so many slots.
/// Promises: the budget holds; under `counts` no layer is worse than before; slots that do not change keep their place;
/// slots that must change (an expert without a living slot) come first, and an error names them if the budget is too
/// small for them. Without `worth` any improvement counts. Deterministic.
/// With `worth` it makes as many of the moves as pay best, and none if even layers would save less than a hundredth of a
/// step. Slots of dead devices are empty in the plan; that is no move, and `before` is what the living serve without
/// them. Where an expert had no living slot, the layer may get busier by serving it.
/// Reasons, the first decided: "improved", "within_tolerance", "imbalance_is_free", "saving_below_move_cost", "no_better"
/// (no step helps), "budget_spent" (first if the budget allows nothing, else a second one: more moves would help more),
/// "experts_restored" (only what must change did). Errors: sizes that do not match, more than 65,536 slots a layer,
/// expert numbers out of range, fewer living slots than experts, the budget below what must change, numbers of `worth`
/// that are negative or not finite.
Result<PlacementPlan> plan_incremental(const ExpertCounts& counts, const ExpertCluster& cluster, const ExpertLayout& current,
                                       const MoveBudget& budget, const std::optional<Worth>& worth = std::nullopt);

}  // namespace flexpert::placement
