#pragma once

#include <cstdint>
#include <optional>

#include "scaling/policy.h"
#include "scaling/policy_options.h"

namespace flexpert::scaling {

/// What one metric asks for.
struct MetricCount {
  std::uint32_t replicas = 0;
  double exact = 0;       ///< before tolerance and rounding
  double ratio = 0;       ///< use over target, after missing and unready instances were added
  double value = 0;       ///< what was compared with the target
};

/// Counts instances for one metric as Kubernetes does; nothing if the metric is missing. Source: kubernetes,
/// pkg/controller/podautoscaler/replica_calculator.go (calcPlainMetricReplicas, GetExternalMetricReplicas,
/// GetExternalPerPodMetricReplicas). Instances that start, or (metric "cpu") were ready for less than
/// initial_readiness_s, are unready: set aside, then 0 when scaling up. Ready ones without the metric are missing: 100 % of
/// the target when scaling down, 0 when scaling up. Draining, failed and warm ones do not count. Where adding them turns
/// the direction round, or brings the ratio within the tolerance, the current count stays.
std::optional<MetricCount> count_for_metric(const PolicyInput& input, const TargetMetric& metric, const TargetTrackingOptions& options);

}  // namespace flexpert::scaling
