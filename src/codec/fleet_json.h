#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "fleet/decision.h"
#include "fleet/fleet_snapshot.h"
#include "fleet/routing_table.h"

/// The JSON forms of docs/reference/internal-api.md. Decoders check types and ranges; messages name the field.
namespace flexpert::codec {

std::string encode(const RoutingTable& table);
Result<RoutingTable> decode_routing_table(std::string_view json);
std::string encode(const FleetSnapshot& snapshot);
Result<FleetSnapshot> decode_fleet_snapshot(std::string_view json);
std::string encode(const Decision& decision);
Result<Decision> decode_decision(std::string_view json);

/// Cumulative expert loads as a model server reports them.
struct ExpertLoadReport {
  std::string model;
  std::int64_t unix_ms = 0;
  std::uint64_t steps = 0;
  std::uint64_t tokens = 0;
  ExpertGeometry geometry;
  std::vector<std::uint64_t> rows;  ///< geometry.size() counters since start
  std::vector<std::uint64_t> in_process_rows = {};  ///< those that the model server computed itself; empty: not said
};
std::string encode(const ExpertLoadReport& report);
Result<ExpertLoadReport> decode_expert_load_report(std::string_view json);

}  // namespace flexpert::codec
