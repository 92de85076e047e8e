#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"

namespace flexpert::placement {

struct SizingGoal {
  double balancedness = 0.95;       ///< mean over layers to reach, over 0, at most 1
  /// Slots a layer over one per expert, at most; 0: as many as can be, up to 1,024, and 65,536 over all layers.
  std::uint32_t max_redundant = 0;
};

/// How many redundant slots a fleet needs: a replica more in one layer than in another where that gains more, against the
/// same number in all of them. All three come from the same planner (layer_packing.h).
///
/// The uneven layout is ragged: a layer of n replicas has ceil(n / devices) slots on each device, of which some are empty,
/// and memory counts what is filled; over all layers the fullest device holds `most_on_a_device` replicas. An engine that
/// allocates the same slots on every device in every layer cannot use it: `uniform_*` is what such an engine needs.
struct Sizing {
  std::vector<std::uint32_t> redundant;       ///< per layer, uneven
  std::uint64_t redundant_slots = 0;          ///< sum
  double balancedness = 0;                    ///< reached by them
  std::uint64_t most_on_a_device = 0;         ///< replicas of all layers on the fullest device
  std::uint32_t uniform_redundant = 0;        ///< per layer, if all layers have the same and slots divide by devices
  std::uint64_t uniform_slots = 0;            ///< layers * uniform_redundant
  double uniform_balancedness = 0;
  std::uint32_t uniform_any_redundant = 0;    ///< the same without the demand that slots divide by devices
  std::uint64_t uniform_any_slots = 0;
  double uniform_any_balancedness = 0;
  bool reached = false;                       ///< the goal, within max_redundant; else this is the best there was
  PlacementPlan plan;                         ///< mode "sized", of the uneven layout
};

/// Finds the fewest redundant slots for a balancedness: more for layers that need them. Devices are alike but for slots,
/// which are the result: `devices` of them on `nodes`. What a layer reaches is tried slot by slot up to 256 redundant ones,
/// then in steps of a 32nd, until it is as even as the planner makes it (or the goal does not need more); the choice among
/// these is the best there is. A uniform layout may leave slots empty where that is more even.
/// Errors: bad counts, no devices, nodes that do not divide them, a goal out of range, over 1,024 layers, 4,096 experts or a
/// million of experts times devices.
Result<Sizing> size_slots(const ExpertCounts& counts, std::uint32_t devices, std::uint32_t nodes, const SizingGoal& goal);

}  // namespace flexpert::placement
