#include "scaling/planner_moves.h"

#include <algorithm>
#include <cmath>

#include "scaling/vertical_resize.h"
#include "scaling/victims.h"

namespace flexpert::scaling {
namespace {

Reason scaled(const char* code, std::uint32_t from, std::uint32_t to) {
  return {code, fmt::format("{} to {}", from, to), {{"from", from}, {"to", to}}};
}

PoolAction acted_on(PoolActionKind kind, const InstanceId& id, Reason reason) {
  PoolAction action;
  action.kind = kind;
  action.instance = id;
  action.reasons.push_back(std::move(reason));
  return action;
}

Reason least_work(const PoolInstance& instance, std::uint32_t from, std::uint32_t to) {
  const double tokens = std::isfinite(instance.remaining_tokens) ? instance.remaining_tokens : 0;
  return {"scale_down",
          fmt::format("{} to {}: {} has the least to do ({} requests, {:.0f} tokens)", from, to, instance.id,
                      std::uint64_t{instance.in_flight} + instance.queued, tokens),
          {{"from", from},
           {"to", to},
           {"requests", static_cast<double>(instance.in_flight) + instance.queued},
           {"remaining_tokens", tokens}}};
}

/// Gives up `excess` serving instances; at most `starting` of those that start, which spares the warm-bound ones.
std::uint32_t give_up_serving(const PoolObservation& pool, const PoolWish& wish, std::uint32_t excess, std::uint32_t starting,
                              std::int64_t unix_ms, PlannerPoolState& state, PoolPlan& plan) {
  const std::uint32_t from = wish.census.current();
  std::uint32_t gone = 0;
  for (const std::size_t i : victims_in_order(pool.instances)) {
    if (gone == excess) break;
    const PoolInstance& instance = pool.instances[i];
    if (!wish.census.present[i] || instance.state == InstanceState::kWarm) continue;
    const bool ready = instance.state == InstanceState::kReady;
    if (!ready && starting == 0) continue;
    if (!ready) --starting;
    ++gone;
    state.roster.tracks[instance.id].leaving_unix_ms = unix_ms;
    plan.actions.push_back(ready ? acted_on(PoolActionKind::kDrain, instance.id, least_work(instance, from, from - excess))
                                 : acted_on(PoolActionKind::kCancel, instance.id, scaled("scale_down", from, from - excess)));
  }
  return gone;
}

/// Gives up warm instances and those on the way, the latter first.
std::uint32_t give_up_warm(const PoolObservation& pool, const PoolWish& wish, std::uint32_t excess, std::uint32_t have,
                           std::int64_t unix_ms, PlannerPoolState& state, PoolPlan& plan) {
  std::uint32_t gone = 0;
  for (const std::size_t i : victims_in_order(pool.instances)) {
    if (gone == excess) break;
    const PoolInstance& instance = pool.instances[i];
    InstanceTrack& track = state.roster.tracks[instance.id];
    if (!wish.census.present[i] || instance.state == InstanceState::kReady || track.leaving_unix_ms == unix_ms) continue;
    if (instance.state != InstanceState::kWarm) {
      if (state.roster.warm_bound == 0) continue;
      --state.roster.warm_bound;
    }
    ++gone;
    track.leaving_unix_ms = unix_ms;
    plan.actions.push_back(acted_on(PoolActionKind::kCancel, instance.id, scaled("warm_pool", have, have - excess)));
  }
  return gone;
}

/// Activates up to `count` warm instances, the oldest first.
std::uint32_t activate(const PoolObservation& pool, const PoolWish& wish, std::uint32_t count, std::uint32_t to, PoolPlan& plan) {
  std::vector<std::size_t> warm;
  for (std::size_t i = 0; i < pool.instances.size(); ++i) {
    if (wish.census.present[i] && pool.instances[i].state == InstanceState::kWarm) warm.push_back(i);
  }
  std::sort(warm.begin(), warm.end(), [&](std::size_t a, std::size_t b) {
    const PoolInstance& x = pool.instances[a];
    const PoolInstance& y = pool.instances[b];
    return x.since_unix_ms != y.since_unix_ms ? x.since_unix_ms < y.since_unix_ms : x.id < y.id;
  });
  warm.resize(std::min<std::size_t>(warm.size(), count));
  for (const std::size_t i : warm)
    plan.actions.push_back(acted_on(PoolActionKind::kActivate, pool.instances[i].id, scaled("scale_up", wish.census.current(), to)));
  return static_cast<std::uint32_t>(warm.size());
}

}  // namespace

PoolMoves first_moves(const PoolConfig& config, const PoolObservation& pool, const PoolWish& wish, std::uint32_t granted,
                      std::uint32_t warm, std::int64_t unix_ms, double interval_s, PlannerPoolState& state, PoolPlan& plan) {
  const Census& census = wish.census;
  for (const InstanceId& id : census.overdue) {
    plan.actions.push_back(acted_on(
        PoolActionKind::kCancel, id,
        {"never_ready", fmt::format("not ready within {:.0f} s", config.never_ready_s), {{"never_ready_s", config.never_ready_s}}}));
  }
  std::uint32_t serving = census.current();
  std::uint32_t warm_have = census.warm + census.warm_bound;
  std::uint32_t released = census.draining;
  if (granted < serving) {
    const auto unseen = static_cast<std::uint32_t>(state.roster.unseen.size());
    const std::uint32_t gone =
        give_up_serving(pool, wish, serving - granted, census.starting - std::min(census.starting, unseen), unix_ms, state, plan);
    serving -= gone;
    released += gone;
  } else if (granted > serving) {
    const std::uint32_t activated = activate(pool, wish, granted - serving, granted, plan);
    serving += activated;
    warm_have -= activated;
    const std::uint32_t diverted = std::min(granted - serving, state.roster.warm_bound);
    state.roster.warm_bound -= diverted;
    serving += diverted;
    warm_have -= diverted;
  }
  if (warm_have > warm) {
    const std::uint32_t gone = give_up_warm(pool, wish, warm_have - warm, warm_have, unix_ms, state, plan);
    warm_have -= gone;
    released += gone;
  }
  if (config.vertical) {
    const auto pause_ms = static_cast<std::int64_t>(std::max(2 * interval_s, 60.0) * 1000);
    for (std::size_t i = 0; i < pool.instances.size(); ++i) {
      const PoolInstance& instance = pool.instances[i];
      if (!census.present[i] || instance.state != InstanceState::kReady) continue;
      InstanceTrack& track = state.roster.tracks[instance.id];
      if (track.leaving_unix_ms != 0 || (track.resized_unix_ms != 0 && unix_ms - track.resized_unix_ms < pause_ms)) continue;
      auto resize = propose_resize(instance, *config.vertical, config.max_metric_age_s);
      if (!resize) continue;
      track.resized_unix_ms = unix_ms;
      plan.actions.push_back(std::move(*resize));
    }
  }
  plan.current = census.current();
  plan.ready = census.ready;
  plan.wanted = wish.wanted;
  plan.granted = granted;
  plan.target = serving;
  plan.warm = warm;
  PoolMoves moves;
  moves.staged = {config.gpus_per_instance,
                  config.priority,
                  census.held,
                  serving,
                  granted,
                  starts_allowed(state.roster, census, unix_ms),
                  warm_have,
                  warm};
  moves.released = released;
  return moves;
}

void add_starts(const PoolMoves& moves, const StagedStarts& starts, std::uint64_t free, std::int64_t unix_ms, PlannerPoolState& state,
                PoolPlan& plan) {
  const auto order = [&](std::uint32_t count, bool warm, Reason reason) {
    if (count == 0) return;
    PoolAction action;
    action.count = count;
    action.warm = warm;
    action.reasons.push_back(std::move(reason));
    plan.actions.push_back(std::move(action));
    for (std::uint32_t i = 0; i < count; ++i) state.roster.unseen.push_back({unix_ms, warm});
    if (warm) state.roster.warm_bound += count;
  };
  order(starts.serving, false, scaled("scale_up", plan.current, moves.staged.serving + starts.serving));
  order(starts.warm, true, scaled("warm_pool", moves.staged.warm, moves.staged.warm + starts.warm));
  plan.target += starts.serving;
  if (starts.waiting > 0) {
    plan.reasons.push_back(
        {"waiting_for_gpus",
         fmt::format("{} more wait for GPUs: {} are free, {} each are needed, others are being released", starts.waiting, free,
                     moves.staged.gpus_per_instance),
         {{"waiting", starts.waiting}, {"free_gpus", static_cast<double>(free)}, {"gpus_per_instance", moves.staged.gpus_per_instance}}});
  }
}

}  // namespace flexpert::scaling
