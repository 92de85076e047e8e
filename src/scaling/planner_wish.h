#pragma once

#include <cstdint>
#include <vector>

#include "fleet/decision.h"
#include "fleet/pool_snapshot.h"
#include "scaling/planner_census.h"
#include "scaling/planner_pool_state.h"
#include "scaling/pool_config.h"
#include "scaling/traffic_forecast.h"

namespace flexpert::scaling {

/// What one pool wants this cycle, before the budget.
struct PoolWish {
  Census census;
  TrafficOutlook outlook;
  PoolLimits limits;                 ///< in force, min never over max
  std::uint32_t asked = 0;           ///< before the maximum cut it
  std::uint32_t wanted = 0;          ///< within the limits, stabilised
  std::uint32_t warm = 0;            ///< wanted in the warm pool
  std::vector<Reason> reasons;
  std::vector<Reason> conditions;
};

/// Forecasts, asks the policies, combines, applies a person's count, the rules around zero and the stabilisation. Traffic
/// figures that are missing or older than max_metric_age_s never let a pool shrink whose policies go by them.
PoolWish wish_of(const PoolConfig& config, double interval_s, const PoolObservation& pool, std::int64_t unix_ms, PlannerPoolState& state);

}  // namespace flexpert::scaling
