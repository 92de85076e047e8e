#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/placement_plan.h"
#include "flexpert/place_options.h"
#include "placement/robust.h"

namespace flexpert::app {

/// All that a plan is made from.
struct PlanProblem {
  ExpertCounts counts;
  std::vector<placement::LoadCase> cases;   ///< of robust plans; empty: `counts` alone
  ExpertCluster cluster;
  std::optional<ExpertLayout> current;
};

/// A plan, and what only some modes know.
struct PlanAnswer {
  PlacementPlan plan;
  std::vector<std::pair<std::string, Balance>> by_case;
  std::optional<double> cross_node_share;
};

/// Returns --mode, or what follows from the other options.
std::string mode_of(const PlaceOptions& options);

/// Says what is wrong with the options together, or "".
std::string plan_misuse(const PlaceOptions& options);

/// Plans in the mode of the options; `before` and the moves are filled if there is a layout in force.
Result<PlanAnswer> make_plan(const PlanProblem& problem, const PlaceOptions& options);

}  // namespace flexpert::app
