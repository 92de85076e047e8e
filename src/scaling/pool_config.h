#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "fleet/pool_snapshot.h"
#include "scaling/policy_options.h"

/// What the pool planner is configured with.
namespace flexpert::scaling {

/// Keeps a pool from following noise.
struct StabilisationOptions {
  double up_window_s = 0;            ///< grow to the least that was wanted in it
  double down_window_s = 300;        ///< shrink to the most that was wanted in it
  double hysteresis = 0.1;           ///< a shrink must leave the pool this far below what would make it grow again
  double min_between_reversals_s = 600;  ///< after a growth, no shrink so long, unless traffic is zero
  std::optional<std::uint32_t> max_step_up;    ///< instances in one cycle
  std::optional<std::uint32_t> max_step_down;
  double max_loading = 1.0;          ///< instances that load at once, as a share of those ready (at least 1)
};

/// A pool's requests/s from before the planner began, equally spaced; NaN is a gap.
struct LoadTrace {
  std::vector<double> values;
  double step_s = 60;
  double scale = 1;                    ///< requests/s over the values' unit
  std::optional<double> end_unix_s;    ///< when the newest value's step ended; absent: right before the first cycle
};

struct ForecastOptions {
  std::string predictor = "mixture";
  double quantile = 0.9;             ///< that the pool is sized for
  double default_startup_s = 60;     ///< until one was measured
  std::uint32_t window = 0;          ///< cycles that the predictor goes by; 0: its own choice
  std::shared_ptr<const LoadTrace> trace;  ///< what requests/s a new planner takes as seen; its newest 20,160 cycles at most
};

struct WarmPoolOptions {
  std::uint32_t min = 0;
  std::uint32_t max = 0;             ///< 0: no warm pool
};

/// Instances are resized live within these; absent parts stay as they are.
struct VerticalOptions {
  std::uint32_t threads_min = 0;     ///< 0: threads are left alone
  std::uint32_t threads_max = 0;
  std::uint32_t kv_blocks_min = 0;   ///< 0: KV blocks are left alone
  std::uint32_t kv_blocks_max = 0;
  double high = 0.85;                ///< of CPU or KV use: over it up by half
  double low = 0.3;                  ///< under it down by a third
};

struct PoolConfig {
  PoolId id;
  PoolRole role = PoolRole::kAggregated;
  std::string deployment;            ///< a prefill and a decode pool of one model share it; keeps their ratio
  std::uint32_t gpus_per_instance = 1;
  PoolLimits limits;
  int priority = 0;                  ///< a higher one is served first from the budget
  double weight = 1;                 ///< among equals
  std::vector<PolicyConfig> policies;
  StabilisationOptions stabilisation;
  ForecastOptions forecast;
  WarmPoolOptions warm;
  std::optional<VerticalOptions> vertical;
  double scale_to_zero_after_s = 0;  ///< with min 0: idle for so long before the last instance goes
  double never_ready_s = 600;        ///< an instance that starts for longer is cancelled
  double max_metric_age_s = 60;      ///< older traffic figures can never cause a scale-down
};

struct PlannerConfig {
  double interval_s = 15;            ///< between two cycles
  std::optional<std::uint32_t> gpu_budget;
  std::vector<PoolConfig> pools;
};

/// Checks everything: ids unique, min <= max, minima within the budget, options of policies in range. Errors name the
/// field ("pools[1].policies[0].target: ...") and the fix.
Result<void> validate(const PlannerConfig& config);

}  // namespace flexpert::scaling
