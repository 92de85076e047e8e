#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fleet/routing_table.h"
#include "routing/least_loaded.h"

namespace flexpert::routing {

/// The part of an expert group that one instance runs.
struct InstanceShare {
  std::string instance;
  std::vector<ExpertSlot> slots;
};

/// Tells the load of a usable expert server; none if it must not be used (not ready, draining).
using InstanceLoad = std::function<std::optional<LoadView>(const std::string& instance)>;

/// Spreads `slots` over as few instances as the table allows, greedily: always the instance that holds the most of
/// what is left, among equals the least loaded. One share in the usual case, where one instance holds them all.
/// Empty if a slot has no usable replica or is not in the table.
std::vector<InstanceShare> cover_group(const std::vector<ExpertSlot>& slots, const RoutingTable& table, const InstanceLoad& load_of);

}  // namespace flexpert::routing
