#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "fleet/fleet_snapshot.h"
#include "net/address.h"
#include "scaling/pool_config.h"

namespace flexpert::controller {

/// One instance of a pool and what the controller remembers of it.
struct PoolMember {
  std::size_t pool = 0;          ///< in the configuration's order
  InstanceStatus status;         ///< as gateways hear of it
  net::Address address;
  std::int64_t since_unix_ms = 0;
  bool warm = false;             ///< waits in the warm pool once it is ready
  bool ever_ready = false;
  bool unlaunched = false;       ///< there is no process yet: its launch failed, or waits after one that failed
  std::optional<TimePoint> launched_at;  ///< until it is ready for the first time; absent if a predecessor launched it

  // On its way out: first it takes no new request, then, idle or late, it is asked to stop.
  bool draining = false;
  bool stopping = false;
  TimePoint draining_at{};
  bool asked = false;            ///< a look at what it still does is under way
  unsigned idle_looks = 0;       ///< in a row
  std::optional<std::uint32_t> sensed_load;  ///< in flight and queued, by a cycle since draining_at

  [[nodiscard]] bool leaving() const { return draining || stopping; }
};

/// Returns what instances of a pool are to gateways and people.
inline InstanceRole role_of(const scaling::PoolConfig& pool) {
  return pool.role == PoolRole::kGateway ? InstanceRole::kGateway : InstanceRole::kModelServer;
}

}  // namespace flexpert::controller
