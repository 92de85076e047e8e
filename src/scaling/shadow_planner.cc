#include "scaling/shadow_planner.h"

#include <algorithm>
#include <cmath>

#include "scaling/pool_planner.h"

namespace flexpert::scaling {
namespace {

constexpr std::int64_t kMostInstances = 100'000;

/// An instance on paper.
struct PaperInstance {
  InstanceId id;
  InstanceState state = InstanceState::kReady;
  std::int64_t since_unix_ms = 0;
};

/// One pool of one shadow.
struct PaperPool {
  bool seen = false;
  std::vector<PaperInstance> instances;
  std::uint64_t made = 0;
  std::uint32_t count = 0;        ///< what the shadow's newest plan aims at
  std::uint32_t live_count = 0;
  RealisedDemand demand;
  ShadowScore score;
  ShadowScore live;
  std::vector<Reason> reasons;    ///< not saved: the next plan brings them again
};

struct Shadow {
  std::string name;
  std::unique_ptr<PoolPlanner> planner;
  std::vector<PaperPool> pools;   ///< in the configuration's order
};

std::uint32_t ready_of(const PaperPool& pool) {
  return static_cast<std::uint32_t>(std::ranges::count(pool.instances, InstanceState::kReady, &PaperInstance::state));
}

void make_instance(PaperPool& pool, InstanceState state, std::int64_t unix_ms) {
  pool.instances.push_back({InstanceId{fmt::format("paper-{}", ++pool.made)}, state, unix_ms});
}

/// Starts as the live pool is, then lets start-ups end.
void grow_older(PaperPool& pool, const PoolObservation& live, std::int64_t unix_ms, double default_startup_s) {
  if (!pool.seen) {
    pool.seen = true;
    for (const PoolInstance& instance : live.instances) {
      if (instance.state == InstanceState::kReady || instance.state == InstanceState::kWarm || instance.state == InstanceState::kStarting)
        make_instance(pool, instance.state, instance.since_unix_ms);
    }
    pool.count = static_cast<std::uint32_t>(
        std::ranges::count_if(pool.instances, [](const PaperInstance& each) { return each.state != InstanceState::kWarm; }));
    pool.live_count = pool.count;
  }
  const double startup_s = live.startup_s && std::isfinite(*live.startup_s) ? *live.startup_s : default_startup_s;
  for (PaperInstance& instance : pool.instances) {
    if (instance.state == InstanceState::kStarting && static_cast<double>(unix_ms - instance.since_unix_ms) >= startup_s * 1000) {
      instance.state = InstanceState::kReady;
      instance.since_unix_ms = unix_ms;
    }
  }
}

/// The means of what the live pool's ready instances measure and do, as one instance of `ready` would show it.
PoolInstance spread(const PoolObservation& live, std::uint32_t ready) {
  PoolInstance mean;
  std::map<std::string, std::pair<double, double>> sums;   // value and age
  std::map<std::string, double> counts;
  double live_ready = 0;
  double in_flight = 0;
  double queued = 0;
  for (const PoolInstance& instance : live.instances) {
    if (instance.state != InstanceState::kReady) continue;
    ++live_ready;
    in_flight += instance.in_flight;
    queued += instance.queued;
    for (const auto& [name, sample] : instance.metrics) {
      sums[name].first += sample.value;
      sums[name].second = std::max(sums[name].second, sample.age_s);
      ++counts[name];
    }
  }
  if (ready == 0 || live_ready == 0) return mean;
  for (const auto& [name, sum] : sums) mean.metrics[name] = {sum.first / counts[name] * live_ready / ready, sum.second};
  mean.in_flight = static_cast<std::uint32_t>(in_flight / ready);
  mean.queued = static_cast<std::uint32_t>(queued / ready);
  return mean;
}

PoolObservation on_paper(const PoolObservation& live, const PaperPool& pool) {
  PoolObservation seen;
  seen.pool = live.pool;
  seen.limits = live.limits;
  seen.limits.manual.reset();   // a person's count is not a policy
  seen.traffic = live.traffic;
  seen.metrics = live.metrics;
  seen.startup_s = live.startup_s;
  const PoolInstance mean = spread(live, ready_of(pool));
  for (const PaperInstance& each : pool.instances) {
    PoolInstance instance = each.state == InstanceState::kReady ? mean : PoolInstance{};
    instance.id = each.id;
    instance.state = each.state;
    instance.since_unix_ms = each.since_unix_ms;
    seen.instances.push_back(std::move(instance));
  }
  return seen;
}

/// Carries a plan out at once; only start-ups take time.
void carry_out(PaperPool& pool, const PoolPlan& plan, std::int64_t unix_ms) {
  for (const PoolAction& action : plan.actions) {
    if (action.kind == PoolActionKind::kStart) {
      for (std::uint32_t i = 0; i < action.count; ++i) make_instance(pool, InstanceState::kStarting, unix_ms);
      continue;
    }
    const auto found = std::ranges::find(pool.instances, action.instance, &PaperInstance::id);
    if (found == pool.instances.end()) continue;
    if (action.kind == PoolActionKind::kActivate) {
      found->state = InstanceState::kReady;
      found->since_unix_ms = unix_ms;
    } else if (action.kind != PoolActionKind::kResize) {
      pool.instances.erase(found);
    }
  }
}

class ScoredShadows final : public ShadowPlanner {
 public:
  ScoredShadows(PlannerConfig live, std::vector<Shadow> shadows) : config_(std::move(live)), shadows_(std::move(shadows)) {
    for (std::size_t i = 0; i < config_.pools.size(); ++i) index_[config_.pools[i].id] = i;
  }

  void observe(const PoolsSnapshot& snapshot, const ScalePlan& live) override;
  [[nodiscard]] std::vector<ShadowStanding> standings() const override;
  [[nodiscard]] std::string save() const override;
  Result<void> restore(const std::string& state) override;

 private:
  void observe_one(Shadow& shadow, const PoolsSnapshot& snapshot, const ScalePlan& live);
  Result<void> restore_all(const std::string& state);

  PlannerConfig config_;
  std::vector<Shadow> shadows_;
  std::map<PoolId, std::size_t> index_;
};

void ScoredShadows::observe(const PoolsSnapshot& snapshot, const ScalePlan& live) {
  for (Shadow& shadow : shadows_) observe_one(shadow, snapshot, live);
}

void ScoredShadows::observe_one(Shadow& shadow, const PoolsSnapshot& snapshot, const ScalePlan& live) {
  PoolsSnapshot paper;
  paper.cycle = snapshot.cycle;
  paper.unix_ms = snapshot.unix_ms;
  paper.gpu_budget = snapshot.gpu_budget;
  std::map<PoolId, const PoolObservation*> seen;
  for (const PoolObservation& pool : snapshot.pools) {
    const auto found = index_.find(pool.pool);
    if (found == index_.end() || !seen.emplace(pool.pool, &pool).second) continue;
    PaperPool& paper_pool = shadow.pools[found->second];
    grow_older(paper_pool, pool, snapshot.unix_ms, config_.pools[found->second].forecast.default_startup_s);
    paper.pools.push_back(on_paper(pool, paper_pool));
  }
  ScalePlan plan = shadow.planner->plan(paper);
  for (PoolPlan& pool_plan : plan.pools) {
    const auto observed = seen.find(pool_plan.pool);
    if (observed == seen.end()) continue;
    const std::size_t i = index_.at(pool_plan.pool);
    const PoolConfig& config = config_.pools[i];
    PaperPool& pool = shadow.pools[i];
    const double needed = pool.demand.observe(*observed->second, config.max_metric_age_s);
    pool.score.add(config_.interval_s, config.gpus_per_instance, pool.count, pool_plan.target, ready_of(pool), needed);
    pool.count = pool_plan.target;
    const auto of_live = std::ranges::find(live.pools, pool_plan.pool, &PoolPlan::pool);
    if (of_live != live.pools.end()) {
      pool.live.add(config_.interval_s, config.gpus_per_instance, pool.live_count, of_live->target, of_live->ready, needed);
      pool.live_count = of_live->target;
    }
    carry_out(pool, pool_plan, snapshot.unix_ms);
    pool.reasons = std::move(pool_plan.reasons);
  }
}

std::vector<ShadowStanding> ScoredShadows::standings() const {
  std::vector<ShadowStanding> all;
  for (const Shadow& shadow : shadows_) {
    ShadowStanding standing;
    standing.name = shadow.name;
    for (std::size_t i = 0; i < shadow.pools.size(); ++i) {
      const PaperPool& pool = shadow.pools[i];
      standing.pools.push_back({config_.pools[i].id, pool.count, ready_of(pool), pool.score, pool.live, pool.reasons});
    }
    all.push_back(std::move(standing));
  }
  return all;
}

std::string ScoredShadows::save() const {
  StateWriter writer;
  writer.tag("shadows/1");
  writer.integer(static_cast<std::int64_t>(shadows_.size()));
  for (const Shadow& shadow : shadows_) {
    writer.text(shadow.name);
    writer.text(shadow.planner->save());
    for (const PaperPool& pool : shadow.pools) {
      writer.integer(pool.seen ? 1 : 0);
      writer.integer(static_cast<std::int64_t>(pool.made));
      writer.integer(pool.count);
      writer.integer(pool.live_count);
      pool.demand.save(writer);
      pool.score.save(writer);
      pool.live.save(writer);
      writer.integer(static_cast<std::int64_t>(pool.instances.size()));
      for (const PaperInstance& instance : pool.instances) {
        writer.text(instance.id.value);
        writer.integer(static_cast<std::int64_t>(instance.state));
        writer.integer(instance.since_unix_ms);
      }
    }
  }
  return writer.take();
}

Result<void> ScoredShadows::restore_all(const std::string& state) {
  StateReader reader(state);
  reader.tag("shadows/1");
  if (reader.integer() != static_cast<std::int64_t>(shadows_.size())) reader.reject("as many shadows as are configured");
  for (Shadow& shadow : shadows_) {
    if (reader.text() != shadow.name) reader.reject("the shadows in their order");
    const std::string planner = reader.text();
    FLEXPERT_TRY(reader.result());
    FLEXPERT_TRY(shadow.planner->restore(planner));
    for (PaperPool& pool : shadow.pools) {
      pool.seen = reader.integer() != 0;
      pool.made = static_cast<std::uint64_t>(std::max<std::int64_t>(0, reader.integer()));
      pool.count = static_cast<std::uint32_t>(std::clamp<std::int64_t>(reader.integer(), 0, kMostInstances));
      pool.live_count = static_cast<std::uint32_t>(std::clamp<std::int64_t>(reader.integer(), 0, kMostInstances));
      pool.demand.restore(reader);
      pool.score.restore(reader);
      pool.live.restore(reader);
      const std::int64_t count = reader.integer();
      if (count < 0 || count > kMostInstances) reader.reject("a count of instances");
      pool.instances.clear();
      for (std::int64_t k = 0; k < count && reader.ok(); ++k) {
        PaperInstance instance;
        instance.id = InstanceId{reader.text()};
        const std::int64_t instance_state = reader.integer();
        if (instance_state < 0 || instance_state > static_cast<std::int64_t>(InstanceState::kReady)) reader.reject("a state");
        instance.state = static_cast<InstanceState>(instance_state);
        instance.since_unix_ms = reader.integer();
        pool.instances.push_back(std::move(instance));
      }
    }
  }
  return reader.result();
}

Result<void> ScoredShadows::restore(const std::string& state) {
  auto done = restore_all(state);
  if (done) return done;
  for (Shadow& shadow : shadows_) {
    FLEXPERT_ASSIGN(shadow.planner, PoolPlanner::create(shadow.planner->config()));
    shadow.pools = std::vector<PaperPool>(config_.pools.size());
  }
  return done;
}

}  // namespace

Result<std::unique_ptr<ShadowPlanner>> ShadowPlanner::create(const PlannerConfig& live, const std::vector<ShadowOptions>& shadows) {
  std::vector<Shadow> made;
  for (const ShadowOptions& options : shadows) {
    PlannerConfig config = live;
    for (const auto& [pool, policies] : options.policies) {
      const auto found = std::ranges::find(config.pools, PoolId{pool}, &PoolConfig::id);
      if (found == config.pools.end())
        return fail(ErrorCode::kInvalidArgument, "shadow {}: pool \"{}\" is not configured; name one of `pools`", options.name, pool);
      found->policies = policies;
    }
    auto planner = PoolPlanner::create(std::move(config));
    if (!planner) return fail(planner.error().with_context(fmt::format("shadow {}", options.name)));
    made.push_back({options.name, std::move(*planner), std::vector<PaperPool>(live.pools.size())});
  }
  return std::unique_ptr<ShadowPlanner>(std::make_unique<ScoredShadows>(live, std::move(made)));
}

}  // namespace flexpert::scaling
