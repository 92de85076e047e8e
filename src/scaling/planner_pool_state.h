#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/state_text.h"
#include "scaling/planner_census.h"
#include "scaling/policy.h"
#include "scaling/pool_config.h"
#include "scaling/stabilise.h"
#include "scaling/traffic_forecast.h"

namespace flexpert::scaling {

/// All that the planner remembers of one pool, beside its configuration.
struct PlannerPoolState {
  explicit PlannerPoolState(PoolTrafficForecast traffic_forecast) : traffic(std::move(traffic_forecast)) {}

  PoolTrafficForecast traffic;
  std::vector<std::unique_ptr<Policy>> policies;   ///< in the configuration's order
  StabilisationState stabilisation;
  PoolRoster roster;
  WindowMaximum asked;                 ///< by its policies, before the maximum cut it, over the down window
  WindowMaximum growth;                ///< counts over what it had that it wanted, over the down window: while it waits
                                       ///< for GPUs, noise must not take the wish back for which others drained
  WindowMaximum warm;                  ///< warm instances wanted, over the down window
  std::int64_t idle_unix_ms = 0;       ///< without traffic since; 0: there is some, or it is not known
  std::uint32_t queued_cycles = 0;     ///< in a row with requests that wait, counted to three
  std::uint32_t held = 0;              ///< instances when it was last seen
};

/// Makes the state of a pool that starts afresh. Errors: of its policies' options or its predictor, with the pool's name.
Result<PlannerPoolState> make_pool_state(const PoolConfig& config, double interval_s);

/// Writes a state; policies go by name and kind.
std::string save_pool_state(const PoolConfig& config, const PlannerPoolState& state);

/// Reads it into a state that make_pool_state() made. A policy that is new, or of another kind than it was, starts afresh.
/// Errors: kDataLoss.
Result<void> restore_pool_state(const PoolConfig& config, PlannerPoolState& state, std::string_view text);

}  // namespace flexpert::scaling
