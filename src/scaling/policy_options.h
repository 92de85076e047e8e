#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time_zone.h"
#include "perf/classic_profile.h"
#include "perf/correction.h"
#include "perf/engine_model.h"

/// The options of every policy, as configuration gives them.
namespace flexpert::scaling {

/// Holds TTFT and ITL targets with the fewest instances, from a performance model. The pool's role says which part of a
/// request counts: prefill pools hold TTFT, decode pools ITL, aggregated pools both.
struct SlaOptions {
  double ttft_s = 0.5;
  double itl_s = 0.05;
  enum class Model { kClassic, kEngine } model = Model::kEngine;
  std::shared_ptr<const perf::ClassicProfile> profile;  ///< kClassic; the classic formulas go by means
  std::optional<perf::EngineModel> engine;              ///< kEngine; absent: learned from live steps only
  double percentile = 0.95;                             ///< kEngine
  double utilisation = 0.85;                            ///< kEngine: an instance is planned at most this full
  bool learn = true;                                    ///< kEngine: go on fitting from what is observed
  perf::CorrectionOptions correction;
};

/// A metric of a target-tracking policy. Source: Kubernetes, autoscaling/v2 MetricSpec.
struct TargetMetric {
  std::string name;                 ///< of the pool's or the instances' metrics
  enum class Kind { kPerInstance,   ///< mean over instances of their own metric (HPA: Resource, Pods)
                    kPoolAverage,   ///< a metric of the pool, divided by the instances (HPA: External AverageValue)
                    kPoolValue      ///< a metric of the pool, compared as it is (HPA: Value)
  } kind = Kind::kPerInstance;
  double target = 0;
};

/// At most so much change in so much time. Source: autoscaling/v2 HPAScalingPolicy.
struct RatePolicy {
  enum class Kind { kInstances, kPercent } kind = Kind::kPercent;
  double value = 100;
  double period_s = 15;
};

struct ScalingRules {
  double stabilisation_s = 0;
  std::vector<RatePolicy> policies;
  enum class Select { kMax, kMin, kDisabled } select = Select::kMax;
};

/// Source: Kubernetes, horizontal pod autoscaler: algorithm details, and its defaults.
struct TargetTrackingOptions {
  std::vector<TargetMetric> metrics;
  double tolerance = 0.1;
  ScalingRules up{0, {{RatePolicy::Kind::kPercent, 100, 15}, {RatePolicy::Kind::kInstances, 4, 15}}, ScalingRules::Select::kMax};
  ScalingRules down{300, {{RatePolicy::Kind::kPercent, 100, 15}}, ScalingRules::Select::kMax};
  double initial_readiness_s = 30;   ///< an instance ready for less long does not count for scaling up on CPU
  double max_age_s = 60;             ///< an older sample is missing
};

/// Source: knative/serving, pkg/autoscaler/scaling/autoscaler.go, and its config-autoscaler defaults.
struct KpaOptions {
  std::string metric = "concurrency";  ///< "concurrency" (in flight and queued) or "requests_per_s", of the whole pool
  double target = 8;                   ///< per instance
  double utilisation = 0.7;            ///< of the target that is aimed at
  double stable_window_s = 60;
  double panic_window_percentage = 10;
  double panic_threshold_percentage = 200;
  double max_scale_up_rate = 1000;
  double max_scale_down_rate = 2;
  std::uint32_t activation_scale = 1;  ///< instances at least, once there are any
  double scale_to_zero_grace_s = 30;
  double scale_down_delay_s = 0;       ///< the largest count wanted in it holds
  double target_burst_capacity = 200;  ///< to be taken off hand: reported only; 0: not computed, -1: unlimited
  double max_age_s = 60;
};

/// Doubles over `high`, halves under `low`; the metric is a utilisation per instance, 0..1.
struct ThresholdOptions {
  std::string metric = "utilisation";
  double high = 0.8;
  double low = 0.2;
  double cooldown_s = 60;
  double max_age_s = 60;
};

/// One line of a schedule. Fields of `cron` are minute, hour, day of month, month, day of week (names allowed); in force
/// from a matching minute for `duration_s`, also across midnight. Where several hold, the highest priority counts, then
/// the largest floor.
struct ScheduleEntry {
  std::string name;
  std::string cron;
  double duration_s = 3600;
  std::uint32_t replicas = 1;
  int priority = 0;
  bool on_holidays = true;
};

struct ScheduleOptions {
  TimeZone zone;
  std::vector<ScheduleEntry> entries;
  std::vector<std::string> holidays;        ///< "YYYY-MM-DD" in the zone
  std::optional<std::uint32_t> otherwise;   ///< outside all entries; absent: no opinion
};

/// Serves the forecast's quantile at the start-up horizon with a known capacity an instance.
struct PredictiveOptions {
  double requests_per_s_per_instance = 0;  ///< 0: learned from what instances did at most while they held their targets
  double utilisation = 0.8;
};

/// A fixed count.
struct ManualOptions {
  std::uint32_t replicas = 1;
};

using PolicyOptions = std::variant<SlaOptions, TargetTrackingOptions, KpaOptions, ThresholdOptions, ScheduleOptions, PredictiveOptions, ManualOptions>;

/// How a policy's proposal counts among those of its pool: the largest kMax proposal, raised to the largest floor, lowered
/// to the smallest ceiling.
enum class CombineRule { kMax, kFloor, kCeiling };

struct PolicyConfig {
  std::string name;  ///< unique in its pool; for reasons and metrics
  CombineRule rule = CombineRule::kMax;
  PolicyOptions options;
};

}  // namespace flexpert::scaling
