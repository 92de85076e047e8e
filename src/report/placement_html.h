#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "fleet/expert_cluster.h"
#include "fleet/expert_counts.h"
#include "fleet/placement_plan.h"

namespace flexpert::report {

/// A layout to hold a plan against.
struct PlacementBefore {
  std::string name;      ///< "in force", "experts in order"
  ExpertLayout layout;   ///< of the plan's geometry and devices
  Balance balance;       ///< under the same counts and cluster
};

/// One HTML page about a plan: headline figures, heat maps of load per GPU and per expert before and after, the proven
/// bound of each layer, the moves. Self-contained: no request leaves it; it works offline, in light and dark.
struct PlacementPage {
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;  ///< what the reader has to know: where counts came from, ...
  std::optional<PlacementBefore> before;
};

/// Returns the page. All text is escaped. Precondition: plan, cluster and counts belong together.
std::string placement_html(const PlacementPlan& plan, const ExpertCluster& cluster, const ExpertCounts& counts, const PlacementPage& page);

}  // namespace flexpert::report
