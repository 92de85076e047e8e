#pragma once

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"

namespace flexpert::placement {

/// Plans from scratch: replication and packing refined towards the lower bound, no two replicas of an expert on one
/// device while that is possible. Devices may differ in slots and be dead; those that differ in speed, several windows
/// and failure domains are plan_robust()'s. Deterministic. Errors: fewer living slots than experts.
Result<PlacementPlan> plan_quality(const ExpertCounts& counts, const ExpertCluster& cluster);

}  // namespace flexpert::placement
