#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"
#include "report/placement_html.h"

namespace flexpert::app {

/// "32 GPUs on 4 nodes, 9 slots each", with what is unusual about them.
std::string describe(const ExpertCluster& cluster);
/// "58 layers x 256 experts, 131,072 tokens".
std::string describe(const ExpertCounts& counts);

/// Returns the layout to hold a plan against: the one in force, or else the experts in order without redundancy; nothing if
/// neither fits the cluster.
std::optional<report::PlacementBefore> layout_before(const std::optional<ExpertLayout>& in_force, const ExpertCluster& cluster,
                                                     const ExpertCounts& counts);

/// Writes the HTML report of a plan.
Result<void> write_page(const std::string& path, const PlacementPlan& plan, const ExpertCluster& cluster, const ExpertCounts& counts,
                        const report::PlacementPage& page);

}  // namespace flexpert::app
