#pragma once

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {

/// Checks that a layout in force has the model's geometry, the cluster's devices and slots, and experts in range. Unlike
/// check_match() it does not ask for every expert: after a loss some may be nowhere. The message names what differs.
Result<void> check_in_force(const ExpertLayout& layout, const ExpertCluster& cluster, ExpertGeometry geometry);

}  // namespace flexpert::placement
