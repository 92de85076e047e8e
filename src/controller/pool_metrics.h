#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fleet/pool_snapshot.h"
#include "fleet/scale_plan.h"
#include "scaling/shadow_planner.h"
#include "telemetry/metrics.h"

namespace flexpert::controller {

/// flexpert_planner_*: what the planner saw and decided in its newest cycle.
class PoolMetrics {
 public:
  explicit PoolMetrics(telemetry::Registry& registry);
  /// Takes one cycle, how the shadows stand after it, and how long it took.
  void take(const PoolsSnapshot& snapshot, const ScalePlan& plan, const std::vector<scaling::ShadowStanding>& shadows, double seconds);
  void journal_failed() const { journal_failures_.add(); }
  void early_cycle() const { early_.add(); }

 private:
  void keep(std::set<std::pair<std::string, telemetry::Labels>> now);

  telemetry::Registry& registry_;
  telemetry::Counter cycles_, journal_failures_, early_;
  telemetry::Histogram seconds_;
  std::set<std::pair<std::string, telemetry::Labels>> shown_;  ///< gauges that come and go
};

}  // namespace flexpert::controller
