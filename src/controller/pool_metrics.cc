#include "controller/pool_metrics.h"

#include <cmath>

namespace flexpert::controller {

PoolMetrics::PoolMetrics(telemetry::Registry& registry)
    : registry_(registry),
      cycles_(registry.counter("flexpert_planner_cycles_total", "Planning cycles run")),
      journal_failures_(registry.counter("flexpert_planner_journal_failures_total", "Cycles that could not be journalled")),
      early_(registry.counter("flexpert_planner_early_cycles_total", "Cycles run before their time, because requests waited for a pool from zero")),
      seconds_(registry.histogram("flexpert_planner_cycle_seconds", "Time of one cycle: sensors read, planned, journalled",
                                  {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5})) {}

void PoolMetrics::take(const PoolsSnapshot& snapshot, const ScalePlan& plan, const std::vector<scaling::ShadowStanding>& shadows, double seconds) {
  cycles_.add();
  seconds_.observe(seconds);
  registry_.gauge("flexpert_planner_gpus_held", "GPUs of all instances, draining ones included").set(plan.gpus_held);
  registry_.gauge("flexpert_planner_gpus_after", "GPUs once the newest plan is settled").set(plan.gpus_after);
  registry_.gauge("flexpert_planner_gpu_budget", "GPUs that all pools may use together; -1: no limit")
      .set(snapshot.gpu_budget ? static_cast<double>(*snapshot.gpu_budget) : -1);
  std::set<std::pair<std::string, telemetry::Labels>> now;
  const auto show = [&](const std::string& name, const std::string& help, telemetry::Labels labels, double value) {
    if (!std::isfinite(value)) return;
    registry_.gauge(name, help, labels).set(value);
    now.emplace(name, std::move(labels));
  };
  for (const Reason& condition : plan.conditions)
    show("flexpert_planner_condition", "1 while the planner lacks something; the pool is empty for the fleet as a whole", {{"pool", ""}, {"code", condition.code}}, 1);
  for (const PoolPlan& pool : plan.pools) {
    const std::string& name = pool.pool.value;
    const telemetry::Labels one{{"pool", name}};
    show("flexpert_planner_current", "Instances that start or are ready", one, pool.current);
    show("flexpert_planner_ready", "Instances that are ready", one, pool.ready);
    show("flexpert_planner_wanted", "Instances that the pool's policies want, stabilised", one, pool.wanted);
    show("flexpert_planner_granted", "Instances that the GPU budget grants", one, pool.granted);
    show("flexpert_planner_target", "Instances after the newest cycle's actions", one, pool.target);
    show("flexpert_planner_warm", "Instances wanted in the warm pool", one, pool.warm);
    for (const Reason& condition : pool.conditions)
      show("flexpert_planner_condition", "1 while the planner lacks something; the pool is empty for the fleet as a whole", {{"pool", name}, {"code", condition.code}}, 1);
    for (const Reason& reason : pool.reasons) {
      registry_.counter("flexpert_planner_reasons_total", "Reasons given, by code", {{"pool", name}, {"code", reason.code}}).add();
      for (const auto& [what, value] : reason.numbers)
        show("flexpert_planner_reason", "The numbers behind the newest reasons (forecasts, corrections, utilisations), by code and name",
             {{"pool", name}, {"code", reason.code}, {"name", what}}, value);
    }
    for (const PoolAction& action : pool.actions)
      registry_.counter("flexpert_planner_actions_total", "Actions decided, by kind", {{"pool", name}, {"kind", name_of(action.kind)}})
          .add(action.kind == PoolActionKind::kStart ? action.count : 1);
  }
  for (const scaling::ShadowStanding& shadow : shadows) {
    for (const scaling::ShadowPoolStanding& pool : shadow.pools) {
      const telemetry::Labels labels{{"shadow", shadow.name}, {"pool", pool.pool.value}};
      show("flexpert_planner_shadow_wanted", "Instances that a shadow would run", labels, pool.count);
      show("flexpert_planner_shadow_gpu_seconds", "GPU-seconds that a shadow would have used", labels, pool.score.gpu_s);
      show("flexpert_planner_shadow_gpu_seconds_of_live", "GPU-seconds that the live planner used over the same cycles", labels, pool.live.gpu_s);
      show("flexpert_planner_shadow_shortfall_seconds", "Missing instances, times the time, of a shadow", labels, pool.score.shortfall_s);
      show("flexpert_planner_shadow_shortfall_seconds_of_live", "Missing instances, times the time, of the live planner", labels, pool.live.shortfall_s);
    }
  }
  for (const PoolObservation& pool : snapshot.pools)
    if (pool.startup_s) show("flexpert_planner_startup_seconds", "From start to ready, 90th percentile of the newest starts", {{"pool", pool.pool.value}}, *pool.startup_s);
  keep(std::move(now));
}

void PoolMetrics::keep(std::set<std::pair<std::string, telemetry::Labels>> now) {
  for (const auto& series : shown_)
    if (!now.contains(series)) registry_.remove_gauge(series.first, series.second);
  shown_ = std::move(now);
}

}  // namespace flexpert::controller
