#pragma once

#include <cstdint>

#include "fleet/decision.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"

namespace flexpert::placement {

/// Says why an expert has its replicas where it has them: its load and rank in the layer, what one replica fewer and one
/// more would do to the layer's busiest device, and which devices hold it.
std::vector<Reason> explain_expert(const PlacementPlan& plan, const ExpertCluster& cluster, const ExpertCounts& counts, ExpertSlot expert);

}  // namespace flexpert::placement
