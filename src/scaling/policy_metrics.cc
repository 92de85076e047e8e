#include "scaling/policy_metrics.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "scaling/field_check.h"

namespace flexpert::scaling {
namespace {

std::optional<MetricSample> find(const MetricMap& metrics, std::string_view name) {
  const auto found = metrics.find(std::string(name));
  return found == metrics.end() ? std::nullopt : std::optional(found->second);
}

std::optional<MetricSample> traffic_field(const PoolTraffic& traffic, std::string_view name) {
  if (name == "requests_per_s") return traffic.requests_per_s;
  if (name == "isl") return traffic.isl;
  if (name == "osl") return traffic.osl;
  if (name == "ttft_s") return traffic.ttft_s;
  if (name == "itl_s") return traffic.itl_s;
  if (name == "duration_s") return traffic.duration_s;
  if (name == "in_flight") return traffic.in_flight;
  if (name == "queued") return traffic.queued;
  return std::nullopt;
}

}  // namespace

std::optional<double> fresh(const std::optional<MetricSample>& sample, double max_age_s) {
  if (!sample || !(sample->value >= 0 && sample->value <= kLargestMetric) || !(sample->age_s <= max_age_s)) return std::nullopt;
  return sample->value;
}

std::optional<double> pool_metric(const PoolObservation& pool, std::string_view name, double max_age_s) {
  if (const auto own = find(pool.metrics, name)) return fresh(own, max_age_s);
  if (name != "concurrency") return fresh(traffic_field(pool.traffic, name), max_age_s);
  const bool serves = std::any_of(pool.instances.begin(), pool.instances.end(),
                                  [](const PoolInstance& each) { return each.state == InstanceState::kReady || each.state == InstanceState::kDraining; });
  const auto in_flight = fresh(pool.traffic.in_flight, max_age_s);
  const auto queued = fresh(pool.traffic.queued, max_age_s);
  // Without an instance nothing is in flight, and what queues is all there is.
  if (serves ? !in_flight : !in_flight && !queued) return std::nullopt;
  return in_flight.value_or(0) + queued.value_or(0);
}

std::optional<double> instance_metric(const PoolInstance& instance, std::string_view name, double max_age_s) {
  if (const auto own = find(instance.metrics, name)) return fresh(own, max_age_s);
  if (name == "in_flight") return instance.in_flight;
  if (name == "queued") return instance.queued;
  if (name == "concurrency") return static_cast<double>(instance.in_flight) + instance.queued;
  return std::nullopt;
}

std::optional<double> mean_metric(const PoolObservation& pool, std::string_view name, double max_age_s) {
  if (const auto own = find(pool.metrics, name)) return fresh(own, max_age_s);
  double sum = 0;
  std::uint32_t count = 0;
  for (const PoolInstance& instance : pool.instances) {
    if (instance.state != InstanceState::kReady) continue;
    const auto value = instance_metric(instance, name, max_age_s);
    if (!value) return std::nullopt;
    sum += *value;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / count;
}

Reason metric_missing(std::string_view policy, std::string_view name, double max_age_s) {
  return {"metric_missing", fmt::format("{}: the metric \"{}\" is missing, not a number, negative, or older than {} s", policy, name, max_age_s),
          {{"max_age_s", max_age_s}}};
}

}  // namespace flexpert::scaling
