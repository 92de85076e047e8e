#include "scaling/target_tracking_count.h"

#include <algorithm>
#include <cmath>

#include "scaling/policy_metrics.h"

namespace flexpert::scaling {
namespace {

constexpr double kMostWanted = 1e6;

std::uint32_t rounded_up(double exact) {
  if (!(exact > 0)) return 0;
  return static_cast<std::uint32_t>(std::min(std::ceil(exact), kMostWanted));
}

bool within(double ratio, double tolerance) { return 1.0 - tolerance <= ratio && ratio <= 1.0 + tolerance; }

struct Groups {
  double sum = 0;               ///< of those with a metric that counts
  std::uint32_t measured = 0;
  std::uint32_t unready = 0;
  std::uint32_t missing = 0;
};

Groups group(const PolicyInput& input, const TargetMetric& metric, const TargetTrackingOptions& options) {
  Groups groups;
  for (const PoolInstance& instance : input.pool.instances) {
    if (instance.state == InstanceState::kStarting) ++groups.unready;
    if (instance.state != InstanceState::kReady) continue;
    const auto value = instance_metric(instance, metric.name, options.max_age_s);
    const bool settling = metric.name == "cpu" && static_cast<double>(input.unix_ms - instance.since_unix_ms) < options.initial_readiness_s * 1000;
    if (!value) {
      ++groups.missing;
    } else if (settling) {
      ++groups.unready;
    } else {
      groups.sum += *value;
      ++groups.measured;
    }
  }
  return groups;
}

std::optional<MetricCount> per_instance(const PolicyInput& input, const TargetMetric& metric, const TargetTrackingOptions& options) {
  const Groups groups = group(input, metric, options);
  if (groups.measured == 0) return std::nullopt;
  MetricCount out;
  out.value = groups.sum / groups.measured;
  out.ratio = out.value / metric.target;
  out.exact = out.ratio * groups.measured;
  const bool up_with_unready = groups.unready > 0 && out.ratio > 1;
  if (!up_with_unready && groups.missing == 0) {
    out.replicas = within(out.ratio, options.tolerance) ? input.current : rounded_up(out.exact);
    return out;
  }
  const double first = out.ratio;
  double sum = groups.sum;
  std::uint32_t count = groups.measured;
  if (groups.missing > 0 && first != 1) {
    sum += first < 1 ? metric.target * groups.missing : 0;
    count += groups.missing;
  }
  if (up_with_unready) count += groups.unready;
  out.ratio = sum / count / metric.target;
  out.exact = sum / metric.target;
  out.replicas = input.current;
  if (within(out.ratio, options.tolerance) || (first < 1 && out.ratio > 1) || (first > 1 && out.ratio < 1)) return out;
  const std::uint32_t wanted = rounded_up(out.ratio * count);
  if ((out.ratio < 1 && wanted > input.current) || (out.ratio > 1 && wanted < input.current)) return out;
  out.replicas = wanted;
  return out;
}

std::optional<MetricCount> of_pool(const PolicyInput& input, const TargetMetric& metric, const TargetTrackingOptions& options) {
  const auto value = pool_metric(input.pool, metric.name, options.max_age_s);
  if (!value) return std::nullopt;
  MetricCount out;
  out.value = *value;
  if (metric.kind == TargetMetric::Kind::kPoolAverage) {
    out.exact = *value / metric.target;
    out.ratio = input.current > 0 ? out.exact / input.current : out.exact > 0 ? kMostWanted : 1;
    out.replicas = within(out.ratio, options.tolerance) ? input.current : rounded_up(out.exact);
    return out;
  }
  out.ratio = *value / metric.target;
  out.exact = out.ratio * (input.current > 0 ? input.ready : 1);
  out.replicas = input.current > 0 && within(out.ratio, options.tolerance) ? input.current : rounded_up(out.exact);
  // Where few of many are ready, an overload of those few is no reason to give up the ones that start.
  if (out.ratio > 1) out.replicas = std::max(out.replicas, input.current);
  return out;
}

}  // namespace

std::optional<MetricCount> count_for_metric(const PolicyInput& input, const TargetMetric& metric, const TargetTrackingOptions& options) {
  return metric.kind == TargetMetric::Kind::kPerInstance ? per_instance(input, metric, options) : of_pool(input, metric, options);
}

}  // namespace flexpert::scaling
