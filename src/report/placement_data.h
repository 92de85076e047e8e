#pragma once

#include <string>

#include "report/placement_html.h"

namespace flexpert::report {

/// Returns what the page's script draws from, as JSON that may stand inside a <script> element.
std::string placement_data(const PlacementPlan& plan, const ExpertCluster& cluster, const ExpertCounts& counts, const PlacementPage& page);

}  // namespace flexpert::report
