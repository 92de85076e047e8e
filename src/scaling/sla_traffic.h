#pragma once

#include <optional>
#include <vector>

#include "fleet/pool_snapshot.h"
#include "perf/engine_model.h"
#include "perf/online_model.h"
#include "scaling/policy.h"

/// What the SLA policies read from a snapshot.
namespace flexpert::scaling {

/// Traffic to size for.
struct SlaDemand {
  TrafficForecast horizon;
  TrafficForecast next;
  bool may_shrink = true;
  std::vector<Reason> conditions;     ///< why it may not
};

/// Returns nothing when there is no forecast to go by; `conditions` of `missing` then say why. Lengths that the forecast lacks
/// are taken from what is observed.
std::optional<SlaDemand> sla_demand(const PolicyInput& input, double max_age_s, std::vector<Reason>& missing);

/// Returns the newest interval as means, if its traffic is fresh, valid and of a settled pool: all instances ready, nothing
/// held back, at least one request.
std::optional<perf::IntervalMeans> settled_interval(const PolicyInput& input, double max_age_s);

/// The load of the ready instances, and how many requests are held back.
struct QueueingInterval {
  perf::IntervalMeans means;
  double queued = 0;
};

/// Returns the newest interval if its traffic and queue are fresh and valid, an instance is ready, and there was work.
std::optional<QueueingInterval> queueing_interval(const PolicyInput& input, double max_age_s);

perf::EngineRole engine_role(PoolRole role);

}  // namespace flexpert::scaling
