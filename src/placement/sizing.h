#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"

namespace flexpert::placement {

struct SizingGoal {
  double balancedness = 0.95;       ///< mean over layers to reach
  std::uint32_t max_redundant = 0;  ///< slots a layer over one per expert, at most; 0: experts * (devices - 1)
};

/// How many redundant slots a fleet needs.
struct Sizing {
  std::vector<std::uint32_t> redundant;   ///< per layer, uneven
  std::uint64_t redundant_slots = 0;      ///< sum
  double balancedness = 0;                ///< reached by them
  std::uint32_t uniform_redundant = 0;    ///< per layer, if all layers have the same
  std::uint64_t uniform_slots = 0;        ///< layers * uniform_redundant
  double uniform_balancedness = 0;
  bool reached = false;                   ///< the goal, within max_redundant
  PlacementPlan plan;                     ///< mode "sized"
};

/// Finds the fewest redundant slots for a balancedness: more for layers that need them. Devices are alike but for slots,
/// which are the result: `devices` of them on `nodes`.
Result<Sizing> size_slots(const ExpertCounts& counts, std::uint32_t devices, std::uint32_t nodes, const SizingGoal& goal);

}  // namespace flexpert::placement
