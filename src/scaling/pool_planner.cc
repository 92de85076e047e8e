#include "scaling/pool_planner.h"

#include <algorithm>
#include <limits>
#include <map>

#include "scaling/planner_moves.h"
#include "scaling/planner_pool_state.h"
#include "scaling/planner_share.h"
#include "scaling/planner_wish.h"

namespace flexpert::scaling {
namespace {

constexpr std::int64_t kMostPools = 100'000;

class StagedPoolPlanner final : public PoolPlanner {
 public:
  StagedPoolPlanner(PlannerConfig config, std::vector<PlannerPoolState> states) : config_(std::move(config)), states_(std::move(states)) {
    for (std::size_t i = 0; i < config_.pools.size(); ++i) index_[config_.pools[i].id] = i;
  }

  ScalePlan plan(const PoolsSnapshot& snapshot) override;
  [[nodiscard]] std::string save() const override;
  Result<void> restore(const std::string& state) override;
  void note_not_acted() override;
  [[nodiscard]] const PlannerConfig& config() const override { return config_; }

 private:
  /// One pool of the snapshot that the configuration knows.
  struct Seen {
    const PoolObservation* pool = nullptr;
    std::size_t index = 0;
    PoolWish wish;
  };
  std::vector<Seen> see(const PoolsSnapshot& snapshot, ScalePlan& plan);
  [[nodiscard]] std::uint64_t gpus_out_of_sight(const std::vector<Seen>& seen, ScalePlan& plan) const;
  Result<void> restore_all(const std::string& state);

  PlannerConfig config_;
  std::vector<PlannerPoolState> states_;  ///< in the configuration's order
  std::map<PoolId, std::size_t> index_;
  std::int64_t now_unix_ms_ = 0;  ///< never goes back, whatever the snapshots say
};

std::vector<StagedPoolPlanner::Seen> StagedPoolPlanner::see(const PoolsSnapshot& snapshot, ScalePlan& plan) {
  std::vector<Seen> seen;
  std::vector<bool> taken(states_.size());
  for (const PoolObservation& pool : snapshot.pools) {
    const auto found = index_.find(pool.pool);
    if (found == index_.end() || taken[found->second]) {
      plan.conditions.push_back({found == index_.end() ? "pool_unknown" : "pool_twice", fmt::format("pool {} is ignored", pool.pool), {}});
      continue;
    }
    taken[found->second] = true;
    seen.push_back(
        {&pool, found->second, wish_of(config_.pools[found->second], config_.interval_s, pool, now_unix_ms_, states_[found->second])});
  }
  return seen;
}

std::uint64_t StagedPoolPlanner::gpus_out_of_sight(const std::vector<Seen>& seen, ScalePlan& plan) const {
  std::vector<bool> visible(states_.size());
  for (const Seen& each : seen) visible[each.index] = true;
  std::uint64_t gpus = 0;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (visible[i]) continue;
    gpus += static_cast<std::uint64_t>(states_[i].held) * config_.pools[i].gpus_per_instance;
    PoolPlan missing;
    missing.pool = config_.pools[i].id;
    missing.conditions.push_back({"pool_not_observed",
                                  fmt::format("the snapshot lacks it; its {} instances keep their GPUs", states_[i].held),
                                  {{"held", states_[i].held}}});
    plan.pools.push_back(std::move(missing));
  }
  return gpus;
}

ScalePlan StagedPoolPlanner::plan(const PoolsSnapshot& snapshot) {
  now_unix_ms_ = std::max({now_unix_ms_, snapshot.unix_ms, std::int64_t{1}});
  ScalePlan plan;
  plan.cycle = snapshot.cycle;
  plan.unix_ms = snapshot.unix_ms;
  std::vector<Seen> seen = see(snapshot, plan);
  plan.pools.resize(seen.size());
  const std::uint64_t hidden = gpus_out_of_sight(seen, plan);

  std::optional<std::uint32_t> budget = snapshot.gpu_budget;  // in force; the configured one is only where it began
  if (budget) budget = static_cast<std::uint32_t>(*budget - std::min<std::uint64_t>(*budget, hidden));
  std::vector<PoolAsk> asks;
  asks.reserve(seen.size());
  for (const Seen& each : seen) {
    const std::uint32_t more = starts_allowed(states_[each.index].roster, each.wish.census, now_unix_ms_);
    const std::uint32_t have = each.wish.census.current() + each.wish.census.warm + each.wish.census.warm_bound;
    const std::uint32_t reachable = more > std::numeric_limits<std::uint32_t>::max() - have ? more : have + more;
    asks.push_back({&config_.pools[each.index], &each.wish, reachable});
  }
  FleetShare share = share_gpus(asks, budget);
  if (!share.minima_fit)
    plan.conditions.push_back(
        {"minima_over_budget", "not even the pools' minima fit into the GPU budget", {{"gpu_budget", budget.value_or(0)}}});

  std::vector<PoolMoves> moves(seen.size());
  std::vector<StagedPool> staged(seen.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    PoolPlan& pool_plan = plan.pools[i];
    pool_plan.pool = seen[i].pool->pool;
    pool_plan.reasons = std::move(seen[i].wish.reasons);
    pool_plan.conditions = std::move(seen[i].wish.conditions);
    std::ranges::move(share.pools[i].reasons, std::back_inserter(pool_plan.reasons));
    moves[i] = first_moves(config_.pools[seen[i].index], *seen[i].pool, seen[i].wish, share.pools[i].granted, share.pools[i].warm,
                           now_unix_ms_, config_.interval_s, states_[seen[i].index], pool_plan);
    staged[i] = moves[i].staged;
  }

  const std::uint64_t held = gpus_held(staged);
  const std::uint64_t free = budget ? *budget - std::min<std::uint64_t>(*budget, held) : std::numeric_limits<std::uint64_t>::max();
  const std::vector<StagedStarts> starts = stage_starts(staged, budget);
  std::uint64_t after = held;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    add_starts(moves[i], starts[i], free, now_unix_ms_, states_[seen[i].index], plan.pools[i]);
    after += static_cast<std::uint64_t>(starts[i].serving + starts[i].warm) * staged[i].gpus_per_instance;
    after -= static_cast<std::uint64_t>(moves[i].released) * staged[i].gpus_per_instance;
    states_[seen[i].index].held += starts[i].serving + starts[i].warm;
  }
  if (budget && held > *budget)
    plan.conditions.push_back({"over_budget",
                               fmt::format("{} GPUs are held, the budget is {}: nothing starts before they are released", held, *budget),
                               {{"held", static_cast<double>(held)}, {"gpu_budget", *budget}}});
  plan.gpus_held = static_cast<std::uint32_t>(held + hidden);
  plan.gpus_after = static_cast<std::uint32_t>(after + hidden);
  return plan;
}

void StagedPoolPlanner::note_not_acted() {
  for (PlannerPoolState& state : states_) {
    PoolRoster& roster = state.roster;
    while (!roster.unseen.empty() && roster.unseen.back().unix_ms == now_unix_ms_) {
      if (roster.unseen.back().warm && roster.warm_bound > 0) --roster.warm_bound;
      roster.unseen.pop_back();
      --state.held;
    }
    for (auto& [id, track] : roster.tracks) {
      if (track.leaving_unix_ms == now_unix_ms_) track.leaving_unix_ms = 0;
      if (track.resized_unix_ms == now_unix_ms_) track.resized_unix_ms = 0;
    }
  }
}

std::string StagedPoolPlanner::save() const {
  StateWriter writer;
  writer.tag("pool_planner/1");
  writer.integer(now_unix_ms_);
  writer.integer(static_cast<std::int64_t>(states_.size()));
  for (std::size_t i = 0; i < states_.size(); ++i) {
    writer.text(config_.pools[i].id.value);
    writer.text(save_pool_state(config_.pools[i], states_[i]));
  }
  return writer.take();
}

Result<void> StagedPoolPlanner::restore_all(const std::string& state) {
  StateReader reader(state);
  reader.tag("pool_planner/1");
  now_unix_ms_ = reader.integer();
  const std::int64_t count = reader.integer();
  if (count < 0 || count > kMostPools) reader.reject("a count of pools");
  for (std::int64_t i = 0; i < count && reader.ok(); ++i) {
    const PoolId id{reader.text()};
    const std::string of_pool = reader.text();
    const auto found = index_.find(id);
    if (!reader.ok() || found == index_.end()) continue;
    if (auto done = restore_pool_state(config_.pools[found->second], states_[found->second], of_pool); !done)
      return fail(done.error().with_context(fmt::format("pool {}", id)));
  }
  return reader.result();
}

Result<void> StagedPoolPlanner::restore(const std::string& state) {
  const auto afresh = [&]() -> Result<void> {
    now_unix_ms_ = 0;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      FLEXPERT_ASSIGN(states_[i], make_pool_state(config_.pools[i], config_.interval_s));
    }
    return {};
  };
  FLEXPERT_TRY(afresh());
  auto done = restore_all(state);
  if (!done) FLEXPERT_TRY(afresh());
  return done;
}

}  // namespace

Result<std::unique_ptr<PoolPlanner>> PoolPlanner::create(PlannerConfig config) {
  FLEXPERT_TRY(validate(config));
  std::vector<PlannerPoolState> states;
  states.reserve(config.pools.size());
  for (const PoolConfig& pool : config.pools) {
    FLEXPERT_ASSIGN(PlannerPoolState state, make_pool_state(pool, config.interval_s));
    states.push_back(std::move(state));
  }
  return std::unique_ptr<PoolPlanner>(std::make_unique<StagedPoolPlanner>(std::move(config), std::move(states)));
}

}  // namespace flexpert::scaling
