#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "controller/placement_keeper.h"
#include "controller/rebalance.h"
#include "fleet/routing_table.h"

/// The JSON of /api/v1/placement (docs/reference/internal-api.md).
namespace flexpert::controller {

/// What GET /api/v1/placement shows.
struct PlacementView {
  const RoutingTable* table = nullptr;  ///< never null
  PlacementFigures figures;
  RebalancePolicy policy;
  std::uint64_t moved_slots = 0;        ///< for balance alone, since start
  std::uint64_t moved_bytes = 0;
  std::map<std::string, std::uint64_t> outcomes;
  const RebalanceReport* last = nullptr;  ///< null: none yet
};

std::string encode(const RebalanceReport& report);
std::string encode(const PlacementView& view);

}  // namespace flexpert::controller
