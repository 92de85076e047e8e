#include "scaling/policy_check.h"

#include <algorithm>
#include <string>

#include "scaling/cron.h"
#include "scaling/field_check.h"

namespace flexpert::scaling {
namespace {

constexpr std::size_t kMostMetrics = 32;
constexpr std::size_t kMostRatePolicies = 16;
constexpr std::size_t kMostEntries = 256;

Result<void> check_rules(const std::string& field, const ScalingRules& rules) {
  FLEXPERT_TRY(check_range(field + ".stabilisation_s", rules.stabilisation_s, 0, 3600));
  if (rules.policies.empty() && rules.select != ScalingRules::Select::kDisabled)
    return fail(ErrorCode::kInvalidArgument, "{}.policies: there is none; allowed: at least one, or select: disabled", field);
  if (rules.policies.size() > kMostRatePolicies)
    return fail(ErrorCode::kInvalidArgument, "{}.policies: there are {}; allowed: at most {}", field, rules.policies.size(), kMostRatePolicies);
  for (std::size_t i = 0; i < rules.policies.size(); ++i) {
    // Part of an instance is none: such a rate would never let the pool change.
    const bool whole = rules.policies[i].kind == RatePolicy::Kind::kInstances;
    FLEXPERT_TRY(check_range(fmt::format("{}.policies[{}].value", field, i), rules.policies[i].value, whole ? 1 : 0, kMostInstances, !whole));
    FLEXPERT_TRY(check_range(fmt::format("{}.policies[{}].period_s", field, i), rules.policies[i].period_s, 0, 1800, true));
  }
  return {};
}

struct Checker {
  Result<void> operator()(const SlaOptions& options) const {
    FLEXPERT_TRY(check_range("ttft_s", options.ttft_s, 0, 3600, true));
    FLEXPERT_TRY(check_range("itl_s", options.itl_s, 0, 3600, true));
    FLEXPERT_TRY(check_range("percentile", options.percentile, 0.5, 0.999));
    FLEXPERT_TRY(check_range("utilisation", options.utilisation, 0, 1, true));
    FLEXPERT_TRY(check_range("correction.low", options.correction.low, 0, 1, true));
    FLEXPERT_TRY(check_range("correction.high", options.correction.high, 1, 1000));
    FLEXPERT_TRY(check_range("correction.smoothing", options.correction.smoothing, 0, 1, true));
    if (options.model == SlaOptions::Model::kClassic && options.profile == nullptr)
      return fail(ErrorCode::kInvalidArgument, "profile: the key is missing; allowed: a folder of a measured profile, which model: classic goes by");
    if (options.model == SlaOptions::Model::kEngine && !options.engine && !options.learn)
      return fail(ErrorCode::kInvalidArgument,
                  "learn: false is given without engine coefficients; allowed: learn: true, or an engine: section, or model: classic");
    return {};
  }

  Result<void> operator()(const TargetTrackingOptions& options) const {
    if (options.metrics.empty()) return fail(ErrorCode::kInvalidArgument, "metrics: there is none; allowed: at least one metric with its target");
    if (options.metrics.size() > kMostMetrics)
      return fail(ErrorCode::kInvalidArgument, "metrics: there are {}; allowed: at most {}", options.metrics.size(), kMostMetrics);
    for (std::size_t i = 0; i < options.metrics.size(); ++i) {
      const TargetMetric& metric = options.metrics[i];
      if (metric.name.empty()) return fail(ErrorCode::kInvalidArgument, "metrics[{}].name: it is empty; allowed: a metric's name", i);
      FLEXPERT_TRY(check_range(fmt::format("metrics[{}].target", i), metric.target, 0, kLargestMetric, true));
    }
    FLEXPERT_TRY(check_range("tolerance", options.tolerance, 0, 1));
    FLEXPERT_TRY(check_rules("up", options.up));
    FLEXPERT_TRY(check_rules("down", options.down));
    FLEXPERT_TRY(check_range("initial_readiness_s", options.initial_readiness_s, 0, 3600));
    return check_range("max_age_s", options.max_age_s, 0, 86400, true);
  }

  Result<void> operator()(const KpaOptions& options) const {
    if (options.metric != "concurrency" && options.metric != "requests_per_s")
      return fail(ErrorCode::kInvalidArgument, "metric: {} is given; allowed: concurrency, requests_per_s", options.metric);
    FLEXPERT_TRY(check_range("target", options.target, 0, kLargestMetric, true));
    FLEXPERT_TRY(check_range("utilisation", options.utilisation, 0, 1, true));
    FLEXPERT_TRY(check_range("stable_window_s", options.stable_window_s, 6, 3600));
    FLEXPERT_TRY(check_range("panic_window_percentage", options.panic_window_percentage, 1, 100));
    FLEXPERT_TRY(check_range("panic_threshold_percentage", options.panic_threshold_percentage, 110, 1000));
    FLEXPERT_TRY(check_range("max_scale_up_rate", options.max_scale_up_rate, 1, 1e6, true));
    FLEXPERT_TRY(check_range("max_scale_down_rate", options.max_scale_down_rate, 1, 1e6, true));
    FLEXPERT_TRY(check_range("activation_scale", options.activation_scale, 1, kMostInstances));
    FLEXPERT_TRY(check_range("scale_to_zero_grace_s", options.scale_to_zero_grace_s, 0, 86400));
    FLEXPERT_TRY(check_range("scale_down_delay_s", options.scale_down_delay_s, 0, 3600));
    FLEXPERT_TRY(check_range("target_burst_capacity", options.target_burst_capacity, -1, kLargestMetric));
    return check_range("max_age_s", options.max_age_s, 0, 86400, true);
  }

  Result<void> operator()(const ThresholdOptions& options) const {
    if (options.metric.empty()) return fail(ErrorCode::kInvalidArgument, "metric: it is empty; allowed: a metric's name");
    FLEXPERT_TRY(check_range("high", options.high, 0, kLargestMetric, true));
    FLEXPERT_TRY(check_range("low", options.low, 0, kLargestMetric));
    if (options.low > options.high / 2)
      return fail(ErrorCode::kInvalidArgument,
                  "low: {} is over half of high, which is {}, so doubling and halving would undo each other; allowed: a number from 0 to high / 2",
                  options.low, options.high);
    FLEXPERT_TRY(check_range("cooldown_s", options.cooldown_s, 0, 86400));
    return check_range("max_age_s", options.max_age_s, 0, 86400, true);
  }

  Result<void> operator()(const ScheduleOptions& options) const {
    if (options.entries.empty() && !options.otherwise)
      return fail(ErrorCode::kInvalidArgument, "entries: there is none; allowed: at least one entry, or otherwise");
    for (std::size_t i = 0; i < options.entries.size(); ++i) {
      const ScheduleEntry& entry = options.entries[i];
      if (const auto parsed = parse_cron(entry.cron); !parsed)
        return fail(ErrorCode::kInvalidArgument, "entries[{}].cron: {}", i, parsed.error().message);
      FLEXPERT_TRY(check_range(fmt::format("entries[{}].duration_s", i), entry.duration_s, 60, 7 * 86400));
      FLEXPERT_TRY(check_range(fmt::format("entries[{}].replicas", i), entry.replicas, 0, kMostInstances));
    }
    if (options.entries.size() > kMostEntries)
      return fail(ErrorCode::kInvalidArgument, "entries: there are {}; allowed: at most {}", options.entries.size(), kMostEntries);
    for (std::size_t i = 0; i < options.holidays.size(); ++i)
      if (!parse_date(options.holidays[i]))
        return fail(ErrorCode::kInvalidArgument, "holidays[{}]: \"{}\" is given; allowed: a date as YYYY-MM-DD", i, options.holidays[i]);
    return {};
  }

  Result<void> operator()(const PredictiveOptions& options) const {
    FLEXPERT_TRY(check_range("requests_per_s_per_instance", options.requests_per_s_per_instance, 0, kLargestMetric));
    return check_range("utilisation", options.utilisation, 0, 1, true);
  }

  Result<void> operator()(const ManualOptions& options) const { return check_range("replicas", options.replicas, 0, kMostInstances); }
};

struct Namer {
  std::string_view operator()(const SlaOptions&) const { return "sla"; }
  std::string_view operator()(const TargetTrackingOptions&) const { return "target_tracking"; }
  std::string_view operator()(const KpaOptions&) const { return "kpa"; }
  std::string_view operator()(const ThresholdOptions&) const { return "thresholds"; }
  std::string_view operator()(const ScheduleOptions&) const { return "schedule"; }
  std::string_view operator()(const PredictiveOptions&) const { return "predictive"; }
  std::string_view operator()(const ManualOptions&) const { return "manual"; }
};

}  // namespace

std::string_view kind_of(const PolicyOptions& options) { return std::visit(Namer{}, options); }

Result<void> validate(const PolicyOptions& options) { return std::visit(Checker{}, options); }

}  // namespace flexpert::scaling
