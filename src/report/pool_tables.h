#pragma once

#include <string>
#include <vector>

#include "fleet/scale_plan.h"
#include "report/table.h"

namespace flexpert::report {

/// One row a pool: where it is, what its policies want, what the budget grants, where this cycle takes it.
Table pool_table(const ScalePlan& plan);

/// Lines under the table: for each pool its actions, the reasons with their numbers, and what the planner lacked.
std::vector<std::string> pool_explanations(const ScalePlan& plan);

/// Puts an action into words: "drain chat.3".
std::string describe(const PoolAction& action);

}  // namespace flexpert::report
