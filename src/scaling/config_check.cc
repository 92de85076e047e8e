#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "forecast/predictor.h"
#include "scaling/field_check.h"
#include "scaling/policy_check.h"
#include "scaling/pool_config.h"

namespace flexpert::scaling {
namespace {

constexpr std::size_t kMostPools = 10'000;
constexpr std::size_t kMostPolicies = 16;

std::unexpected<Error> at(const std::string& path, const Error& error) { return fail(Error{error.code, path + "." + error.message}); }

Result<void> check_limits(const PoolLimits& limits) {
  FLEXPERT_TRY(check_range("max", limits.max, 0, kMostInstances));
  if (limits.min > limits.max)
    return fail(ErrorCode::kInvalidArgument, "min: {} is over max, which is {}; allowed: a whole number from 0 to max", limits.min, limits.max);
  if (limits.manual && (*limits.manual < limits.min || *limits.manual > limits.max))
    return fail(ErrorCode::kInvalidArgument, "manual: {} is outside min and max; allowed: a whole number from {} to {}", *limits.manual, limits.min,
                limits.max);
  return {};
}

Result<void> check_stabilisation(const StabilisationOptions& options) {
  FLEXPERT_TRY(check_range("stabilisation.up_window_s", options.up_window_s, 0, 86400));
  FLEXPERT_TRY(check_range("stabilisation.down_window_s", options.down_window_s, 0, 86400));
  FLEXPERT_TRY(check_range("stabilisation.hysteresis", options.hysteresis, 0, 0.9));
  FLEXPERT_TRY(check_range("stabilisation.min_between_reversals_s", options.min_between_reversals_s, 0, 86400));
  if (options.max_step_up) FLEXPERT_TRY(check_range("stabilisation.max_step_up", *options.max_step_up, 1, kMostInstances));
  if (options.max_step_down) FLEXPERT_TRY(check_range("stabilisation.max_step_down", *options.max_step_down, 1, kMostInstances));
  return check_range("stabilisation.max_loading", options.max_loading, 0, kMostInstances);
}

Result<void> check_forecast(const ForecastOptions& options) {
  const auto& known = forecast::predictor_names();
  if (std::find(known.begin(), known.end(), options.predictor) == known.end())
    return fail(ErrorCode::kInvalidArgument, "forecast.predictor: \"{}\" is not known; allowed: {}", options.predictor, fmt::join(known, ", "));
  FLEXPERT_TRY(check_range("forecast.quantile", options.quantile, 0.5, 0.999));
  if (options.window == 1 || options.window > forecast::kLargestWindow)
    return fail(ErrorCode::kInvalidArgument, "forecast.window: {} is out of range; allowed: 0, or a whole number from 2 to {}", options.window,
                forecast::kLargestWindow);
  if (options.trace) {
    if (options.trace->values.empty()) return fail(ErrorCode::kInvalidArgument, "forecast.trace: it has no values; allowed: at least one");
    FLEXPERT_TRY(check_range("forecast.trace_step_s", options.trace->step_s, 0, kLongestSeconds, true));
    FLEXPERT_TRY(check_range("forecast.trace_scale", options.trace->scale, 0, 1e9, true));
    if (options.trace->end_unix_s) FLEXPERT_TRY(check_range("forecast.trace_end_unix_s", *options.trace->end_unix_s, 0, 1e11));
  }
  return check_range("forecast.default_startup_s", options.default_startup_s, 0, 86400);
}

Result<void> check_vertical(const VerticalOptions& options) {
  const auto pair = [](const char* name, std::uint32_t low, std::uint32_t high) -> Result<void> {
    if (low > high)
      return fail(ErrorCode::kInvalidArgument, "vertical.{0}_min: {1} is over {0}_max, which is {2}; allowed: a whole number up to {0}_max", name, low, high);
    if (low == 0 && high != 0)
      return fail(ErrorCode::kInvalidArgument, "vertical.{0}_min: 0 is given beside {0}_max {1}; allowed: at least 1, or neither", name, high);
    return {};
  };
  FLEXPERT_TRY(pair("threads", options.threads_min, options.threads_max));
  FLEXPERT_TRY(pair("kv_blocks", options.kv_blocks_min, options.kv_blocks_max));
  FLEXPERT_TRY(check_range("vertical.high", options.high, 0, 1, true));
  FLEXPERT_TRY(check_range("vertical.low", options.low, 0, 1));
  // Up by half and down by a third undo each other where low is over two thirds of high.
  if (options.low > options.high * 2 / 3)
    return fail(ErrorCode::kInvalidArgument,
                "vertical.low: {} is over two thirds of high, which is {}, so growing and shrinking would undo each other; allowed: less", options.low,
                options.high);
  return {};
}

Result<void> check_policies(const std::vector<PolicyConfig>& policies, PoolRole role) {
  if (policies.size() > kMostPolicies)
    return fail(ErrorCode::kInvalidArgument, "policies: there are {}; allowed: at most {}", policies.size(), kMostPolicies);
  std::set<std::string> names;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const std::string path = fmt::format("policies[{}]", i);
    if (policies[i].name.empty()) return fail(ErrorCode::kInvalidArgument, "{}.name: it is empty; allowed: a name, each once a pool", path);
    if (!names.insert(policies[i].name).second)
      return fail(ErrorCode::kInvalidArgument, "{}.name: a policy {} is already given; allowed: each name once a pool", path, policies[i].name);
    if (role == PoolRole::kGateway && std::holds_alternative<SlaOptions>(policies[i].options))
      return fail(ErrorCode::kInvalidArgument, "{}.kind: sla is given to a pool of gateways; allowed: any other kind", path);
    if (auto checked = validate(policies[i].options); !checked) return at(path, checked.error());
  }
  return {};
}

Result<void> check_pool(const PoolConfig& pool) {
  if (pool.id.value.empty()) return fail(ErrorCode::kInvalidArgument, "name: it is empty; allowed: a name, each once");
  FLEXPERT_TRY(check_range("gpus_per_instance", pool.gpus_per_instance, 0, 4096));
  FLEXPERT_TRY(check_limits(pool.limits));
  FLEXPERT_TRY(check_range("priority", pool.priority, -1'000'000, 1'000'000));
  FLEXPERT_TRY(check_range("weight", pool.weight, 0, 1e6, true));
  FLEXPERT_TRY(check_policies(pool.policies, pool.role));
  FLEXPERT_TRY(check_stabilisation(pool.stabilisation));
  FLEXPERT_TRY(check_forecast(pool.forecast));
  FLEXPERT_TRY(check_range("warm.max", pool.warm.max, 0, kMostInstances));
  if (pool.warm.min > pool.warm.max)
    return fail(ErrorCode::kInvalidArgument, "warm.min: {} is over max, which is {}; allowed: a whole number from 0 to max", pool.warm.min, pool.warm.max);
  if (pool.vertical) FLEXPERT_TRY(check_vertical(*pool.vertical));
  FLEXPERT_TRY(check_range("scale_to_zero_after_s", pool.scale_to_zero_after_s, 0, kLongestSeconds));
  FLEXPERT_TRY(check_range("never_ready_s", pool.never_ready_s, 0, kLongestSeconds, true));
  return check_range("max_metric_age_s", pool.max_metric_age_s, 0, 86400, true);
}

/// A deployment's prefill and decode pools keep their ratio, so it has one of each at most, and nothing else.
Result<void> check_deployments(const std::vector<PoolConfig>& pools) {
  std::set<std::pair<std::string, PoolRole>> seen;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    if (pools[i].deployment.empty()) continue;
    if (pools[i].role != PoolRole::kPrefill && pools[i].role != PoolRole::kDecode)
      return fail(ErrorCode::kInvalidArgument, "pools[{}].deployment: {} is given to a pool of role {}; allowed: for roles prefill and decode", i,
                  pools[i].deployment, name_of(pools[i].role));
    if (!seen.emplace(pools[i].deployment, pools[i].role).second)
      return fail(ErrorCode::kInvalidArgument, "pools[{}].deployment: {} already has a pool of role {}; allowed: one of each role", i,
                  pools[i].deployment, name_of(pools[i].role));
  }
  return {};
}

}  // namespace

Result<void> validate(const PlannerConfig& config) {
  FLEXPERT_TRY(check_range("interval_s", config.interval_s, 0.05, 86400));
  if (config.pools.size() > kMostPools)
    return fail(ErrorCode::kInvalidArgument, "pools: there are {}; allowed: at most {}", config.pools.size(), kMostPools);
  std::set<std::string> ids;
  std::uint64_t minima = 0;
  for (std::size_t i = 0; i < config.pools.size(); ++i) {
    const PoolConfig& pool = config.pools[i];
    const std::string path = fmt::format("pools[{}]", i);
    if (auto checked = check_pool(pool); !checked) return at(path, checked.error());
    if (!ids.insert(pool.id.value).second)
      return fail(ErrorCode::kInvalidArgument, "{}.name: a pool {} is already given; allowed: each name once", path, pool.id);
    minima += std::uint64_t{pool.limits.min} * pool.gpus_per_instance;
  }
  FLEXPERT_TRY(check_deployments(config.pools));
  if (config.gpu_budget && minima > *config.gpu_budget)
    return fail(ErrorCode::kInvalidArgument, "gpu_budget: {} is less than the pools' minima take, which is {}; allowed: at least that, or lower minima",
                *config.gpu_budget, minima);
  return {};
}

}  // namespace flexpert::scaling
