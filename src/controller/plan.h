#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "fleet/decision.h"
#include "fleet/routing_table.h"
#include "scaling/expert_utilisation.h"

/// One decision of the control loop: a function of a snapshot, nothing else. Policy, then fleet size, then placement.
/// Moves for balance alone are plan_rebalance()'s (rebalance.h).
namespace flexpert::controller {

struct ExpertFleetLimits {
  std::uint32_t min = 1;               ///< active servers
  std::uint32_t max = 1;               ///< processes, warm ones included
  std::uint32_t warm = 0;              ///< ready and idle ones to keep, as far as `max` allows
  std::uint32_t slots_per_server = 1;
  double server_rows_per_s = 0;        ///< 0 = unknown
};

/// An expert server that can take work.
struct UsableServer {
  InstanceId id;
  std::string address;
  bool active = false;  ///< in the routing table; otherwise warm
};

struct PlanInput {
  ExpertGeometry geometry;
  ExpertFleetLimits limits;
  scaling::ExpertUtilisationOptions scaling;
  const scaling::ExpertUtilisationState* loads = nullptr;  ///< never null
  /// What was just measured. Without it nothing is scaled: the plan only makes good what came and went.
  std::optional<scaling::LoadWindow> window;
  std::optional<scaling::ExpertPrediction> prediction;  ///< of the experts' load; absent: they are not forecast
  RoutingTable table;                  ///< in force; epoch 0: none yet. It may name servers that are gone
  std::vector<UsableServer> servers;   ///< active ones first come first kept, then warm ones in order of preference
  std::uint32_t coming = 0;            ///< processes that are starting or restarting
  /// The most servers that a recent plan wanted (Plan::servers_wanted): fewer are not kept yet. So a server that starts
  /// for a hot expert is there when it is ready, though the expert may be in its cool-down meanwhile.
  std::uint32_t floor_servers = 0;
  TimePoint now{};
};

struct Plan {
  std::vector<Action> actions;               ///< in the order in which they are carried out
  std::vector<scaling::Hold> holds;          ///< out of bounds and left as they are, with the reason
  std::vector<InstanceId> activate;
  std::vector<InstanceId> drain;             ///< out of `table`, then back to the warm pool or stopped
  std::vector<InstanceId> stop;              ///< warm ones too many
  std::uint32_t start = 0;                   ///< new processes
  std::optional<RoutingTable> table;         ///< with the next epoch, if it has to change
  std::string cause;                         ///< of `table`: "initial", "servers_changed" or "replicas_changed"
  std::uint32_t servers_wanted = 0;          ///< by this measurement alone; 0 without one
  std::vector<std::size_t> changed_slots;    ///< whose replicas the policy changed: their cool-down starts
};

/// Plans. Promises: table endpoints are usable servers; active servers at most `max`; replicas within the policy's bounds.
Result<Plan> make_plan(const PlanInput& input);

}  // namespace flexpert::controller
