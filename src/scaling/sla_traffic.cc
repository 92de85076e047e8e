#include "scaling/sla_traffic.h"

#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "scaling/field_check.h"
#include "scaling/policy_metrics.h"

namespace flexpert::scaling {
namespace {

bool is_amount(double value) { return value >= 0 && value <= kLargestMetric; }

/// Notes why a sample cannot be gone by; returns whether it can.
bool check(std::string_view name, const std::optional<MetricSample>& sample, double max_age_s, std::vector<Reason>& conditions) {
  if (!sample || !is_amount(sample->value) || !std::isfinite(sample->age_s)) {
    conditions.push_back({"metric_missing", fmt::format("{} is {}", name, sample ? "no amount, or of no known age" : "not known"), {}});
    return false;
  }
  if (!(sample->age_s <= max_age_s)) {
    conditions.push_back({"metric_stale",
                          fmt::format("{} is {:.0f} s old, {:.0f} s are allowed", name, sample->age_s, max_age_s),
                          {{"age_s", sample->age_s}, {"max_age_s", max_age_s}}});
    return false;
  }
  return true;
}

bool is_usable(const TrafficForecast& forecast) {
  return is_amount(forecast.requests_per_s) && is_amount(forecast.requests_per_s_upper) && is_amount(forecast.isl) &&
      is_amount(forecast.osl);
}

void fill_lengths(TrafficForecast& forecast, const PoolTraffic& traffic) {
  if (forecast.isl <= 0 && traffic.isl && is_amount(traffic.isl->value)) forecast.isl = traffic.isl->value;
  if (forecast.osl <= 0 && traffic.osl && is_amount(traffic.osl->value)) forecast.osl = traffic.osl->value;
  forecast.requests_per_s_upper = std::max(forecast.requests_per_s_upper, forecast.requests_per_s);
}

}  // namespace

std::optional<SlaDemand> sla_demand(const PolicyInput& input, double max_age_s, std::vector<Reason>& missing) {
  const PoolTraffic& traffic = input.pool.traffic;
  SlaDemand demand;
  demand.may_shrink = check("requests_per_s", traffic.requests_per_s, max_age_s, demand.conditions);
  if (!input.next || !is_usable(*input.next)) {
    missing = std::move(demand.conditions);
    if (missing.empty()) missing.push_back({"forecast_missing", "there is no forecast of the pool's traffic yet", {}});
    return std::nullopt;
  }
  demand.next = *input.next;
  demand.horizon = input.horizon && is_usable(*input.horizon) ? *input.horizon : *input.next;
  fill_lengths(demand.next, traffic);
  fill_lengths(demand.horizon, traffic);
  // Zero traffic has no lengths, and needs none.
  if (traffic.requests_per_s && traffic.requests_per_s->value > 0) {
    demand.may_shrink &= check("isl", traffic.isl, max_age_s, demand.conditions);
    demand.may_shrink &= check("osl", traffic.osl, max_age_s, demand.conditions);
  }
  const bool work = demand.horizon.requests_per_s_upper > 0 || demand.next.requests_per_s_upper > 0;
  if (work && (demand.horizon.isl <= 0 || demand.horizon.osl <= 0)) {
    missing = std::move(demand.conditions);
    if (missing.empty()) missing.push_back({"metric_missing", "isl or osl is not known, and requests are expected", {}});
    return std::nullopt;
  }
  if (demand.next.isl <= 0) demand.next.isl = demand.horizon.isl;
  if (demand.next.osl <= 0) demand.next.osl = demand.horizon.osl;
  return demand;
}

namespace {

/// The newest interval of what is ready, whatever starts and waits.
std::optional<perf::IntervalMeans> ready_interval(const PolicyInput& input, double max_age_s) {
  const PoolTraffic& traffic = input.pool.traffic;
  const auto rate = fresh(traffic.requests_per_s, max_age_s), isl = fresh(traffic.isl, max_age_s),
      osl = fresh(traffic.osl, max_age_s);
  if (!rate || !isl || !osl || *rate <= 0 || *isl <= 0 || *osl <= 0) return std::nullopt;
  if (input.ready == 0) return std::nullopt;
  return perf::IntervalMeans{*rate,
                             *isl,
                             *osl,
                             fresh(traffic.ttft_s, max_age_s),
                             fresh(traffic.itl_s, max_age_s),
                             fresh(traffic.in_flight, max_age_s),
                             static_cast<double>(input.ready)};
}

}  // namespace

std::optional<perf::IntervalMeans> settled_interval(const PolicyInput& input, double max_age_s) {
  const auto held = fresh(input.pool.traffic.queued, max_age_s);
  if ((held && *held > 0) || input.ready != input.current) return std::nullopt;
  return ready_interval(input, max_age_s);
}

std::optional<QueueingInterval> queueing_interval(const PolicyInput& input, double max_age_s) {
  const auto queued = fresh(input.pool.traffic.queued, max_age_s);
  const auto means = ready_interval(input, max_age_s);
  if (!queued || !means) return std::nullopt;
  return QueueingInterval{*means, *queued};
}

perf::EngineRole engine_role(PoolRole role) {
  if (role == PoolRole::kPrefill) return perf::EngineRole::kPrefill;
  return role == PoolRole::kDecode ? perf::EngineRole::kDecode : perf::EngineRole::kAggregated;
}

}  // namespace flexpert::scaling
