#include "scenarios/simulated_fleet.h"

#include <algorithm>
#include <cmath>

namespace flexpert::scenarios {
namespace {

std::int64_t ms(double seconds) { return static_cast<std::int64_t>(std::llround(seconds * 1000)); }

MetricSample now(double value) { return {value, 0}; }

double capacity_of(const SimulatedPool& options) {
  if (!options.engine) return options.capacity_rps;
  // Most requests/s at which the queue still stays finite.
  double low = 0;
  double high = 1e4;
  const perf::EngineRole role = options.config.role == PoolRole::kPrefill  ? perf::EngineRole::kPrefill
                                : options.config.role == PoolRole::kDecode ? perf::EngineRole::kDecode
                                                                           : perf::EngineRole::kAggregated;
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (options.engine->at(middle, {options.isl, options.osl}, role, 0.5).stable ? low : high) = middle;
  }
  return low;
}

}  // namespace

SimulatedFleet::SimulatedFleet(std::vector<SimulatedPool> pools, std::optional<std::uint32_t> gpu_budget, double interval_s,
                               std::uint64_t seed)
    : budget_(gpu_budget), interval_s_(interval_s), rng_(seed) {
  for (SimulatedPool& options : pools) {
    Pool pool;
    pool.limits = options.config.limits;
    pool.options = std::move(options);
    pool.options.capacity_rps = capacity_of(pool.options);
    pool.aimed = pool.options.instances;
    for (std::uint32_t i = 0; i < pool.options.instances; ++i) {
      Life life = start(pool, false);
      life.never = false;
      life.appears_unix_ms = 0;
      life.seen.state = InstanceState::kReady;
      life.seen.since_unix_ms = unix_ms_ - 3'600'000;
      pool.lives.push_back(std::move(life));
    }
    pools_.push_back(std::move(pool));
  }
}

SimulatedFleet::Life SimulatedFleet::start(Pool& pool, bool warm) {
  const SimulatedPool& options = pool.options;
  Life life;
  life.seen.id = InstanceId{fmt::format("{}-{:04}", options.config.id, ++pool.made)};
  life.seen.state = InstanceState::kStarting;
  life.appears_unix_ms = unix_ms_ + ms(options.appear_s * rng_.uniform());
  life.seen.since_unix_ms = life.appears_unix_ms;
  life.settles_unix_ms = life.appears_unix_ms + ms(options.startup_s * (1 + options.startup_spread * (2 * rng_.uniform() - 1)));
  life.never = rng_.uniform() < options.never_ready;
  life.warm = warm;
  return life;
}

std::uint32_t SimulatedFleet::ready_of(const Pool& pool) {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(pool.lives, [](const Life& life) { return life.seen.state == InstanceState::kReady; }));
}

std::uint32_t SimulatedFleet::count(std::size_t pool, InstanceState state) const {
  return static_cast<std::uint32_t>(std::ranges::count_if(pools_[pool].lives, [&](const Life& life) { return life.seen.state == state; }));
}

std::uint64_t SimulatedFleet::gpus_held() const {
  std::uint64_t held = 0;
  for (const Pool& pool : pools_) held += pool.lives.size() * pool.options.config.gpus_per_instance;
  return held;
}

void SimulatedFleet::age(Pool& pool) {
  std::erase_if(pool.lives,
                [&](const Life& life) { return life.seen.state == InstanceState::kDraining && life.settles_unix_ms <= unix_ms_; });
  for (Life& life : pool.lives) {
    InstanceState& state = life.seen.state;
    if ((state == InstanceState::kStarting || state == InstanceState::kFailed) && !life.never && life.settles_unix_ms <= unix_ms_) {
      state = life.warm ? InstanceState::kWarm : InstanceState::kReady;
      life.seen.since_unix_ms = std::max(life.settles_unix_ms, life.seen.since_unix_ms);
    } else if (state == InstanceState::kReady && rng_.uniform() < pool.options.crash) {
      state = InstanceState::kFailed;
      life.seen.since_unix_ms = unix_ms_;
      life.settles_unix_ms = unix_ms_ + ms(pool.options.startup_s);
    }
  }
}

void SimulatedFleet::serve(Pool& pool, double offered) {
  const SimulatedPool& options = pool.options;
  const std::uint32_t ready = ready_of(pool);
  const double capacity = ready * options.capacity_rps;
  const double wanted = offered + pool.backlog / interval_s_;
  const double served = std::min(wanted, capacity);
  pool.backlog = std::max(0.0, pool.backlog + (offered - served) * interval_s_);
  const double use = capacity > 0 ? served / capacity : 0;
  if (offered > capacity) pool.record.shortfall_s += interval_s_;
  if (pool.backlog > std::max(1.0, capacity * interval_s_)) pool.record.unserved += pool.backlog;

  const double waits = capacity > 0 ? pool.backlog / capacity : 0;
  double ttft_s = options.service_s / 20 / std::max(0.05, 1 - use) + waits;
  double itl_s = options.service_s / options.osl * (1 + use);
  if (options.engine && ready > 0) {
    const perf::LoadPoint point = options.engine->at(std::min(served / ready, 0.98 * options.capacity_rps), {options.isl, options.osl},
                                                     perf::EngineRole::kAggregated, 0.5);
    ttft_s = point.ttft_s + waits;
    itl_s = point.itl_s;
  }
  const double duration_s = ttft_s + itl_s * options.osl;
  const double in_flight = served * duration_s;
  PoolTraffic traffic;
  traffic.requests_per_s = now(offered);
  traffic.in_flight = now(in_flight);
  traffic.queued = now(std::floor(pool.backlog));
  if (served > 0) {
    traffic.isl = now(options.isl);
    traffic.osl = now(options.osl);
    traffic.ttft_s = now(ttft_s);
    traffic.itl_s = now(itl_s);
    traffic.duration_s = now(duration_s);
  }
  if (!pool.traffic_age_s) {
    pool.traffic = traffic;
  } else {
    for (auto* sample : {&pool.traffic.requests_per_s, &pool.traffic.in_flight, &pool.traffic.queued, &pool.traffic.isl, &pool.traffic.osl,
                         &pool.traffic.ttft_s, &pool.traffic.itl_s, &pool.traffic.duration_s})
      if (*sample) (*sample)->age_s = *pool.traffic_age_s;
  }
  for (Life& life : pool.lives) {
    life.seen.metrics.clear();
    life.seen.in_flight = 0;
    life.seen.remaining_tokens = 0;
    if (life.seen.state != InstanceState::kReady) continue;
    life.seen.in_flight = static_cast<std::uint32_t>(in_flight / ready);
    life.seen.remaining_tokens = std::floor(life.seen.in_flight * options.osl / 2 * rng_.uniform());
    for (const char* name : {"utilisation", "cpu", "gpu"}) life.seen.metrics[name] = {use, pool.traffic_age_s.value_or(0)};
  }
}

PoolsSnapshot SimulatedFleet::observe(const std::vector<double>& offered) {
  unix_ms_ += ms(interval_s_);
  PoolsSnapshot snapshot;
  snapshot.cycle = ++cycle_;
  snapshot.unix_ms = unix_ms_;
  snapshot.gpu_budget = budget_;
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    Pool& pool = pools_[i];
    pool.record.gpu_s += static_cast<double>(pool.lives.size() * pool.options.config.gpus_per_instance) * interval_s_;
    age(pool);
    serve(pool, offered[i]);
    PoolObservation seen;
    seen.pool = pool.options.config.id;
    seen.limits = pool.limits;
    seen.traffic = pool.traffic;
    seen.startup_s = pool.options.startup_s;
    for (const Life& life : pool.lives)
      if (life.appears_unix_ms <= unix_ms_) seen.instances.push_back(life.seen);
    snapshot.pools.push_back(std::move(seen));
  }
  return snapshot;
}

void SimulatedFleet::apply(const ScalePlan& plan) {
  for (const PoolPlan& pool_plan : plan.pools) {
    const auto found = std::ranges::find_if(pools_, [&](const Pool& pool) { return pool.options.config.id == pool_plan.pool; });
    if (found == pools_.end()) continue;
    Pool& pool = *found;
    for (const PoolAction& action : pool_plan.actions) {
      const auto life = std::ranges::find_if(pool.lives, [&](const Life& each) { return each.seen.id == action.instance; });
      if (action.kind == PoolActionKind::kStart) {
        for (std::uint32_t i = 0; i < action.count; ++i) pool.lives.push_back(start(pool, action.warm));
      } else if (life == pool.lives.end()) {
        continue;
      } else if (action.kind == PoolActionKind::kActivate) {
        life->seen.state = InstanceState::kReady;
        life->seen.since_unix_ms = unix_ms_;
      } else if (action.kind == PoolActionKind::kDrain) {
        life->seen.state = InstanceState::kDraining;
        life->seen.since_unix_ms = unix_ms_;
        life->settles_unix_ms = unix_ms_ + ms(pool.options.drain_s * rng_.uniform());
      } else if (action.kind == PoolActionKind::kCancel) {
        pool.lives.erase(life);
      }
    }
    const std::int32_t way = pool_plan.target > pool.aimed ? 1 : pool_plan.target < pool.aimed ? -1 : 0;
    if (way != 0) {
      ++pool.record.changes;
      if (pool.direction == -way) ++pool.record.reversals;
      pool.direction = way;
    }
    pool.aimed = pool_plan.target;
  }
}

}  // namespace flexpert::scenarios
