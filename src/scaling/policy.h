#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/state_text.h"
#include "fleet/pool_snapshot.h"

namespace flexpert::scaling {

/// What is expected of a pool's traffic. Means, with the upper quantile that the pool plans for.
struct TrafficForecast {
  double horizon_s = 0;               ///< ahead of now: measured start-up time plus one interval
  double requests_per_s = 0;
  double requests_per_s_upper = 0;    ///< at the pool's quantile (0.9 by default)
  double isl = 0;
  double osl = 0;
};

/// What a policy goes by. References live as long as the call.
struct PolicyInput {
  const PoolObservation& pool;
  std::int64_t unix_ms = 0;
  double interval_s = 0;              ///< between two cycles
  std::uint32_t current = 0;          ///< instances that serve or are coming: starting and ready
  std::uint32_t ready = 0;
  std::optional<TrafficForecast> next;      ///< over the next interval; absent before the first observation
  std::optional<TrafficForecast> horizon;   ///< around now + start-up time + interval
};

/// What a policy would have. Without `replicas` it has no opinion, and says in `conditions` why.
struct Proposal {
  std::optional<std::uint32_t> replicas;
  std::optional<double> exact;         ///< what `replicas` was before rounding up, where known: hysteresis goes by it
  bool may_shrink = true;              ///< false: enough is known to grow, not to shrink (missing metrics)
  std::vector<Reason> reasons;
  std::vector<Reason> conditions;      ///< what it lacked: "metric_missing", "metric_stale"
};

/// One policy of one pool, with what it remembers. Deterministic, single-threaded, no clock.
class Policy {
 public:
  virtual ~Policy() = default;
  [[nodiscard]] virtual std::string_view kind() const = 0;
  /// Called once a cycle.
  virtual Proposal propose(const PolicyInput& input) = 0;
  /// Writes what later proposals depend on; restore() goes on bit for bit.
  virtual void save(StateWriter& writer) const = 0;
  /// On a mistake in the text the reader says so and the policy is as new.
  virtual void restore(StateReader& reader) = 0;
};

}  // namespace flexpert::scaling
