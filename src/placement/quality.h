#pragma once

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"

namespace flexpert::placement {

/// Plans from scratch: replication and packing refined towards the lower bound (layer_packing.h says how). Every living
/// slot gets a replica, but for those over one of each expert on a device, which stay empty: no two replicas of an expert
/// are on one device. Devices may differ in slots and speed, and be dead; several windows and failure domains are
/// plan_robust()'s. On devices alike no layer is worse than global plan_eplb() makes it, unless that one puts an expert
/// twice on a device. Deterministic. Errors: bad counts or cluster, fewer living slots than experts, more than 4,096
/// experts.
Result<PlacementPlan> plan_quality(const ExpertCounts& counts, const ExpertCluster& cluster);

}  // namespace flexpert::placement
