#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/expert_layout.h"
#include "fleet/placement_plan.h"

namespace flexpert::placement {

/// Returns how even `layout` is under `counts`, every expert's load split evenly over its living replicas: what a
/// dead device holds serves nothing, and an expert without a living replica counts nowhere, in the means and bounds
/// neither. Precondition: valid arguments of one geometry (experts may be in no slot); `cluster` has the layout's devices
/// and slots.
Balance balance_of(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts);

/// Returns a proven lower bound on the largest device load (load / speed) of a layer, for every layout that splits each
/// expert's load evenly over its replicas.
double max_load_bound(std::span<const double> loads, const ExpertCluster& cluster);

/// Checks that the three belong together: devices, slots, geometry; the message says what differs.
Result<void> check_match(const ExpertLayout& layout, const ExpertCluster& cluster, const ExpertCounts& counts);

}  // namespace flexpert::placement
