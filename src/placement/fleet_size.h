#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fleet/decision.h"

namespace flexpert::placement {

struct FleetSizeInput {
  std::span<const std::uint32_t> replicas;  ///< wanted per slot
  double rows_per_s = 0;                    ///< measured over all slots
  std::uint32_t slots_per_server = 0;
  double server_rows_per_s = 0;             ///< a server's speed; 0 = unknown, not considered
  double target_load = 0.6;                 ///< share of its speed that a server may be asked for on average
  double keep_load = 0.45;                  ///< a server is given up only if the rest then stay under this share
  std::uint32_t min_servers = 1;
  std::uint32_t max_servers = 1;
  std::uint32_t current = 0;
};

struct FleetSize {
  std::uint32_t servers = 0;
  /// What set the number: "slots", "speed", "replica_spread", "min_servers", "at_max_servers", "hold".
  Reason reason;
};

/// Returns how many expert servers the replicas take: enough slots, enough speed, as many as the most replicated
/// expert has replicas; within [min, max]. Between the numbers for `target_load` and `keep_load` the current one stays.
FleetSize servers_needed(const FleetSizeInput& input);

}  // namespace flexpert::placement
