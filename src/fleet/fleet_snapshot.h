#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "fleet/routing_table.h"

namespace flexpert {

enum class InstanceRole { kModelServer, kExpertServer, kUpstream, kGateway };

/// A life goes kStarting -> kWarm -> kReady -> kDraining -> kStopped; kFailed from anywhere, and back to kStarting
/// on restart. Model servers skip kWarm.
enum class InstanceState { kStarting, kWarm, kReady, kDraining, kStopped, kFailed };

const char* name_of(InstanceRole role);
const char* name_of(InstanceState state);

/// One process (or foreign engine) of the fleet as last seen.
struct InstanceStatus {
  InstanceId id;
  InstanceRole role = InstanceRole::kModelServer;
  InstanceState state = InstanceState::kStarting;
  std::string model;
  std::string address;        ///< "unix:PATH" or "HOST:PORT"
  std::int64_t pid = 0;       ///< 0 if not ours
  std::uint32_t restarts = 0;
  std::uint32_t slots = 0;    ///< expert replicas held (expert servers)
  double rows_per_s = 0;      ///< measured load (expert servers)
  double pace_rows_per_s = 0; ///< 0 = runs at raw speed; otherwise it emulates an accelerator of this speed
  std::uint32_t running = 0;  ///< requests decoding or prefilling (model servers)
  std::uint32_t queued = 0;   ///< requests waiting (model servers)
  std::string last_error;     ///< empty if none
};

/// The measured load of one logical expert.
struct ExpertStatus {
  ExpertSlot slot;
  double rows_per_s = 0;
  double utilisation = 0;  ///< rows_per_s / replicas / replica_capacity_rows_per_s
  std::uint32_t replicas = 0;
};

/// A pool that the planner scales: gateways hold requests for its model while it is on its way from zero.
struct PoolBrief {
  std::string pool;
  std::string model;          ///< that requests name
  std::uint32_t wanted = 0;   ///< instances that there should be
  std::uint32_t ready = 0;

  bool operator==(const PoolBrief&) const = default;
};

/// The fleet at one moment, as the controller serves it at /internal/fleet.
struct FleetSnapshot {
  std::uint64_t revision = 0;
  std::int64_t unix_ms = 0;
  std::string model;
  std::vector<InstanceStatus> instances;
  std::vector<ExpertStatus> experts;  ///< every (layer, expert), row-major; empty before the first window
  std::optional<RoutingTable> routing;
  double replica_capacity_rows_per_s = 0;
  std::string capacity_source;  ///< "configured" or "measured at start"
  std::vector<PoolBrief> pools; ///< those that are scaled; empty: none are
};

}  // namespace flexpert
