#include "scaling/planner_wish.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <variant>

#include "scaling/combine.h"
#include "scaling/policy_metrics.h"
#include "scaling/stabilise.h"
#include "scaling/warm_pool.h"

namespace flexpert::scaling {
namespace {

constexpr std::uint32_t kWaitsAfter = 3;

/// The pool's traffic as far as it is known this cycle.
struct Demand {
  bool known = false;      ///< requests/s is fresh
  bool some = false;       ///< requests come, wait or run
  bool waits = false;      ///< requests wait, for the third cycle in a row at least
  double idle_s = 0;       ///< without any for so long; 0 also where it is not known
};

Demand demand_of(const PoolConfig& config, const PoolObservation& pool, std::int64_t unix_ms, PlannerPoolState& state) {
  const auto requests = fresh(pool.traffic.requests_per_s, config.max_metric_age_s);
  const auto queued_now = fresh(pool.traffic.queued, config.max_metric_age_s);
  const auto in_flight_now = fresh(pool.traffic.in_flight, config.max_metric_age_s);
  const double queued = queued_now.value_or(0);
  const double in_flight = in_flight_now.value_or(0);
  // A source that never tells them is no reason to keep a pool; one that told them and does not now is.
  const bool all_told = (queued_now || !pool.traffic.queued) && (in_flight_now || !pool.traffic.in_flight);
  const bool busy = std::ranges::any_of(pool.instances, [](const PoolInstance& i) { return i.in_flight + i.queued > 0; });
  state.queued_cycles = queued > 0 ? std::min(state.queued_cycles + 1, kWaitsAfter) : 0;
  Demand demand;
  demand.waits = state.queued_cycles == kWaitsAfter;
  demand.known = requests.has_value();
  demand.some = requests.value_or(0) > 0 || queued > 0 || in_flight > 0 || busy;
  if (!demand.known || demand.some || !all_told) state.idle_unix_ms = 0;
  else if (state.idle_unix_ms == 0) state.idle_unix_ms = unix_ms;
  else demand.idle_s = static_cast<double>(unix_ms - state.idle_unix_ms) / 1000;
  return demand;
}

bool goes_by_traffic(const PoolConfig& config, bool traffic_was_seen) {
  return std::ranges::any_of(config.policies, [&](const PolicyConfig& policy) {
    if (std::holds_alternative<ScheduleOptions>(policy.options) || std::holds_alternative<ManualOptions>(policy.options)) return false;
    const bool own_metrics =
        std::holds_alternative<TargetTrackingOptions>(policy.options) || std::holds_alternative<ThresholdOptions>(policy.options);
    return !own_metrics || traffic_was_seen;
  });
}

bool is_fixed(const PoolConfig& config, const std::string& policy_name) {
  return std::ranges::any_of(config.policies, [&](const PolicyConfig& policy) {
    return policy.name == policy_name &&
           (std::holds_alternative<ScheduleOptions>(policy.options) || std::holds_alternative<ManualOptions>(policy.options));
  });
}

Reason traffic_condition(const PoolConfig& config, const PoolObservation& pool) {
  if (!pool.traffic.requests_per_s)
    return {"metrics_missing", "requests/s is not known: the pool does not shrink", {}};
  const MetricSample& sample = *pool.traffic.requests_per_s;
  if (!std::isfinite(sample.age_s) || !fresh(MetricSample{sample.value, 0}, config.max_metric_age_s))
    return {"metrics_missing", "requests/s is no amount, or of no known age: the pool does not shrink", {}};
  return {"metrics_stale",
          fmt::format("requests/s is {:.0f} s old, {:.0f} s are allowed: the pool does not shrink", sample.age_s, config.max_metric_age_s),
          {{"age_s", sample.age_s}, {"max_metric_age_s", config.max_metric_age_s}}};
}

Reason counted(std::string code, std::string text, std::uint32_t from, std::uint32_t to) {
  return {std::move(code), std::move(text), {{"from", from}, {"to", to}}};
}

/// How a pool with minimum 0 comes to its last instance and back.
struct ZeroRule {
  std::uint32_t wanted = 0;
  bool at_once = false;   ///< the idle time stands for the stabilisation
  std::optional<Reason> reason;
};

ZeroRule around_zero(const PoolConfig& config, const PoolLimits& limits, const Demand& demand, std::uint32_t current,
                     const Combined& combined, bool may_shrink) {
  ZeroRule rule{combined.wanted, false, std::nullopt};
  if (limits.min > 0) return rule;
  if (demand.some) {
    if (rule.wanted == 0) {
      rule.wanted = 1;
      rule.reason = counted(current == 0 ? "from_zero" : "not_idle", "requests come or wait, so one instance at least", 0, 1);
    }
    return rule;
  }
  const bool idle = demand.known && may_shrink && demand.idle_s > 0 && demand.idle_s >= config.scale_to_zero_after_s;
  if (!idle) {
    if (rule.wanted == 0 && current > 0) {
      rule.wanted = 1;
      rule.reason =
          Reason{"idle_wait",
                 fmt::format("idle for {:.0f} s, the last instance goes after {:.0f} s", demand.idle_s, config.scale_to_zero_after_s),
                 {{"idle_s", demand.idle_s}, {"scale_to_zero_after_s", config.scale_to_zero_after_s}}};
    }
    return rule;
  }
  if (is_fixed(config, combined.decided_by) && combined.wanted > 0) return rule;
  rule.wanted = 0;
  rule.at_once = config.scale_to_zero_after_s > 0;
  if (current > 0 || combined.wanted > 0)
    rule.reason = Reason{"scale_to_zero", fmt::format("idle for {:.0f} s", demand.idle_s), {{"idle_s", demand.idle_s}, {"from", current}}};
  return rule;
}

/// Returns the wish, or the larger one that it had within the window and that is not fulfilled yet.
std::uint32_t still_wanted(const WindowMaximum& growth, PoolWish& wish, std::uint32_t current) {
  const auto pending = std::min(static_cast<std::uint32_t>(growth.largest()), wish.limits.max);
  if (pending <= wish.wanted || pending <= current) return wish.wanted;
  wish.reasons.push_back(
      counted("growth_pending", fmt::format("{} were wanted a moment ago and are on their way", pending), wish.wanted, pending));
  return pending;
}

void append(std::vector<Reason>& to, std::vector<Reason>&& more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

PoolWish wish_of(const PoolConfig& config, double interval_s, const PoolObservation& pool, std::int64_t unix_ms, PlannerPoolState& state) {
  PoolWish wish;
  wish.limits = pool.limits;
  if (wish.limits.min > wish.limits.max) {
    wish.conditions.push_back(counted("limits_contradict",
                                      fmt::format("the minimum {} is over the maximum {}, which counts", wish.limits.min, wish.limits.max),
                                      wish.limits.min, wish.limits.max));
    wish.limits.min = wish.limits.max;
  }
  wish.census = take_census(pool, unix_ms, {interval_s, config.never_ready_s}, state.roster);
  state.held = wish.census.held;
  const std::uint32_t current = wish.census.current();
  const Demand demand = demand_of(config, pool, unix_ms, state);
  wish.outlook = state.traffic.observe(pool.traffic, pool.startup_s, unix_ms, config.max_metric_age_s);

  const PolicyInput input{pool, unix_ms, interval_s, current, wish.census.ready, wish.outlook.next, wish.outlook.horizon};
  std::vector<NamedProposal> proposals;
  proposals.reserve(state.policies.size());
  for (std::size_t i = 0; i < state.policies.size(); ++i)
    proposals.push_back({config.policies[i].name, config.policies[i].rule, state.policies[i]->propose(input)});
  Combined combined = combine(proposals, current, config.stabilisation.hysteresis);
  if (combined.decided_by.empty() && demand.waits && wish.census.starting == 0 && combined.wanted == current) {
    combined.wanted = current + 1;
    combined.keep = std::max(combined.keep, combined.wanted);
    combined.reasons.push_back(
        counted("queue_unexplained", "requests wait and no policy knows how many instances they need: one more", current, combined.wanted));
  }
  append(wish.reasons, std::move(combined.reasons));
  append(wish.reasons, std::vector<Reason>(wish.outlook.reasons));
  append(wish.conditions, std::move(combined.conditions));
  append(wish.conditions, std::vector<Reason>(wish.census.conditions));

  bool may_shrink = combined.may_shrink;
  if (!demand.known && goes_by_traffic(config, state.traffic.seen())) {
    may_shrink = false;
    wish.conditions.push_back(traffic_condition(config, pool));
  }
  const ZeroRule zero = around_zero(config, wish.limits, demand, current, combined, may_shrink);
  if (zero.reason) wish.reasons.insert(wish.reasons.begin(), *zero.reason);

  StabilisationInput stable{unix_ms, current, wish.census.ready, zero.wanted, std::max(zero.wanted, zero.wanted == 0 ? 0 : combined.keep),
                            may_shrink, demand.idle_s > 0, zero.at_once, wish.limits.min, wish.limits.max};
  wish.asked = std::max(zero.wanted, wish.limits.min);
  if (wish.limits.manual) {
    stable.wanted = *wish.limits.manual;
    stable.keep = *wish.limits.manual;
    stable.may_shrink = true;
    stable.immediate = true;
    wish.asked = std::clamp(*wish.limits.manual, wish.limits.min, wish.limits.max);
    wish.reasons.insert(wish.reasons.begin(),
                        counted("manual", fmt::format("a person asked for {}", *wish.limits.manual), current, *wish.limits.manual));
  }
  Stabilised stabilised = stabilise(stable, config.stabilisation, state.stabilisation);
  wish.wanted = stabilised.wanted;
  if (demand.some && wish.wanted == 0 && wish.limits.max > 0 && !wish.limits.manual) wish.wanted = 1;
  append(wish.reasons, std::move(stabilised.reasons));

  const auto window_ms = static_cast<std::int64_t>(config.stabilisation.down_window_s * 1000);
  if (wish.limits.manual || wish.wanted < current) state.growth = {};
  else if (wish.wanted > current || !state.growth.empty()) state.growth.add(unix_ms, wish.wanted > current ? wish.wanted : 0);
  state.growth.expire(unix_ms, window_ms);
  if (!state.growth.empty()) wish.wanted = still_wanted(state.growth, wish, current);
  state.asked.add(unix_ms, wish.asked);
  state.asked.expire(unix_ms, window_ms);
  if (!wish.limits.manual) wish.asked = static_cast<std::uint32_t>(state.asked.largest());

  WarmPoolSize warm = size_warm_pool(config.warm, wish.outlook, wish.wanted);
  state.warm.add(unix_ms, warm.wanted);
  state.warm.expire(unix_ms, window_ms);
  wish.warm = static_cast<std::uint32_t>(state.warm.largest());
  if (warm.reason) wish.reasons.push_back(std::move(*warm.reason));
  return wish;
}

}  // namespace flexpert::scaling
