#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "fleet/decision.h"
#include "fleet/fleet_snapshot.h"
#include "report/table.h"

namespace flexpert::report {

/// One row an instance: id, role, state, pid, load, and what it stands for ("paced 4000 rows/s" or "raw speed").
Table instance_table(const FleetSnapshot& fleet);

/// Returns the `count` experts of the highest total load (rows per second), hottest first; idle ones are left out.
std::vector<ExpertStatus> hottest_experts(const FleetSnapshot& fleet, std::size_t count);
/// One row an expert: layer, expert, rows per second, replicas, utilisation of each with a bar.
Table expert_table(const std::vector<ExpertStatus>& experts);

/// Tells whether any instance emulates an accelerator.
bool is_paced(const FleetSnapshot& fleet);
/// Counts the instances of a role in a state.
std::size_t count_instances(const FleetSnapshot& fleet, InstanceRole role, InstanceState state);

/// Puts an action into words: "expert 10 of layer 5: 1 -> 2 replicas".
std::string describe(const Action& action);
/// Returns why, in the words of its first reason; empty if it has none.
std::string why(const Action& action);
/// Sums a decision up in one line: its weightiest action with the reason, and how many more there were.
std::string summary(const Decision& decision);

}  // namespace flexpert::report
