#include "scenarios/scenario.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/ranges.h>

#include "scaling/pool_planner.h"

namespace flexpert::scenarios {
namespace {

using scaling::CombineRule;
using scaling::PoolConfig;

perf::EngineModel engine() { return {{0.004, 0.00002, 0.0001, 1e-8}, {}}; }

PoolConfig pool_named(const char* name, PoolLimits limits) {
  PoolConfig config;
  config.id = PoolId{name};
  config.limits = limits;
  return config;
}

void add_sla(PoolConfig& config) {
  scaling::SlaOptions sla;
  sla.engine = engine();
  config.policies.push_back({"sla", CombineRule::kMax, sla});
}

void add_predictive(PoolConfig& config, double capacity) {
  config.policies.push_back({"predictive", CombineRule::kMax, scaling::PredictiveOptions{capacity, 0.8}});
}

void add_utilisation(PoolConfig& config) { config.policies.push_back({"utilisation", CombineRule::kMax, scaling::ThresholdOptions{}}); }

SimulatedPool simulated(const PoolConfig& config, std::uint32_t instances, bool with_engine) {
  SimulatedPool pool;
  pool.config = config;
  pool.instances = instances;
  if (with_engine) pool.engine = engine();
  return pool;
}

/// The same 5 % of noise in every run.
double noisy(double load, std::size_t pool, int cycle) {
  Rng rng(static_cast<std::uint64_t>(cycle) * 7919 + pool);
  rng.next();
  return load * (0.95 + 0.1 * rng.uniform());
}

Scenario step() {
  PoolConfig config = pool_named("sla", {1, 12, std::nullopt});
  add_sla(config);
  return {"step",
          "Load jumps from 20 to 120 requests/s after half an hour and back after two hours. Expected: growth in a few steps that "
          "double what is ready at most, no overshoot of more than one, back within two minutes once the guards allow it, one reversal.",
          {simulated(config, 2, true)},
          12,
          4 * 240,
          [](std::size_t pool, int cycle) { return noisy(cycle < 120 || cycle >= 480 ? 20 : 120, pool, cycle); }};
}

Scenario ramp() {
  PoolConfig config = pool_named("predictive", {1, 16, std::nullopt});
  add_predictive(config, 10);
  return {"ramp", "Load climbs from 10 to 100 requests/s in an hour, stays, and falls again. Expected: instances come before the load "
                  "does, one or two at a time, and go after it.",
          {simulated(config, 2, false)}, 16, 4 * 240, [](std::size_t pool, int cycle) {
            const double hours = cycle / 240.0;
            const double part = hours < 0.5 ? 0 : hours < 1.5 ? hours - 0.5 : hours < 2.5 ? 1 : hours < 3.5 ? 3.5 - hours : 0;
            return noisy(10 + 90 * part, pool, cycle);
          }};
}

Scenario sine() {
  PoolConfig config = pool_named("default", {1, 16, std::nullopt});
  add_sla(config);
  add_predictive(config, 16);
  add_utilisation(config);
  return {"sine", "Two days of load between 10 and 110 requests/s. Expected: two reversals a day, no shortfall.",
          {simulated(config, 2, true)}, 16, 2 * 5760, [](std::size_t pool, int cycle) {
            return noisy(60 - 50 * std::cos(2 * std::numbers::pi * cycle / 5760.0), pool, cycle);
          }};
}

Scenario spike() {
  PoolConfig config = pool_named("warm", {1, 12, std::nullopt});
  add_utilisation(config);
  config.warm = {1, 2};
  return {"spike",
          "A minute and a half of eightfold load, once an hour. Expected: warm instances take it up at once, starts follow, and "
          "everything goes again within the hour, later where spikes repeat.",
          {simulated(config, 2, false)},
          12,
          3 * 240,
          [](std::size_t pool, int cycle) { return noisy(cycle % 240 >= 120 && cycle % 240 < 126 ? 80 : 10, pool, cycle); }};
}

Scenario zero() {
  PoolConfig config = pool_named("sleeper", {0, 4, std::nullopt});
  add_utilisation(config);
  config.scale_to_zero_after_s = 600;
  return {"zero",
          "Traffic stops for hours, comes back for twenty minutes, and stops. Expected: the last instance goes after ten idle minutes, "
          "one comes with the first request, and none flaps while requests are rare.",
          {simulated(config, 1, false)},
          4,
          4 * 240,
          [](std::size_t pool, int cycle) {
            if (cycle < 60) return noisy(5, pool, cycle);
            if (cycle >= 400 && cycle < 480) return noisy(6, pool, cycle);
            if (cycle >= 700 && cycle < 860) return cycle % 20 == 0 ? 0.2 : 0.0;
            return 0.0;
          }};
}

Scenario scarce() {
  PoolConfig first = pool_named("day", {1, 12, std::nullopt});
  PoolConfig second = pool_named("night", {1, 12, std::nullopt});
  for (PoolConfig* config : {&first, &second}) {
    add_predictive(*config, 10);
    config->gpus_per_instance = config == &first ? 2 : 1;
  }
  return {"scarce",
          "Two pools of one budget, the peak of one in the trough of the other, and together they want more than there is. Expected: "
          "GPUs move with the load, a growing pool waits until the other has drained, and the budget holds in every cycle.",
          {simulated(first, 2, false), simulated(second, 2, false)},
          14,
          4 * 240,
          [](std::size_t pool, int cycle) {
            const double phase = 2 * std::numbers::pi * cycle / 480.0 + (pool == 0 ? 0 : std::numbers::pi);
            return noisy(40 - 35 * std::cos(phase), pool, cycle);
          }};
}

Scenario phases() {
  PoolConfig prefill = pool_named("prefill", {1, 3, std::nullopt});
  PoolConfig decode = pool_named("decode", {1, 12, std::nullopt});
  prefill.role = PoolRole::kPrefill;
  decode.role = PoolRole::kDecode;
  for (PoolConfig* config : {&prefill, &decode}) config->deployment = "model";
  add_predictive(prefill, 10);
  add_predictive(decode, 5);
  return {"phases",
          "Load climbs to 48 requests/s, for which prefill would need six instances and may have three. Expected: decode, which would "
          "need twelve, stays at six, twice what prefill has, and no GPU is held for nothing.",
          {simulated(prefill, 1, false), simulated(decode, 2, false)},
          16,
          2 * 240,
          [](std::size_t pool, int cycle) { return noisy(8 + 40 * std::min(1.0, cycle / 240.0), pool, cycle); }};
}

Scenario outage() {
  PoolConfig config = pool_named("failing", {2, 8, std::nullopt});
  add_predictive(config, 10);
  config.never_ready_s = 120;
  SimulatedPool pool = simulated(config, 2, false);
  pool.never_ready = 0.6;
  pool.crash = 0.0005;
  return {"outage",
          "Load doubles while most new instances never become ready. Expected: each is cancelled after two minutes, tries go on one at "
          "a time with growing pauses, and what is ready is never given up.",
          {pool},
          8,
          2 * 240,
          [](std::size_t which, int cycle) { return noisy(cycle < 60 ? 12 : 30, which, cycle); }};
}

const char* short_name(PoolActionKind kind) {
  switch (kind) {
    case PoolActionKind::kStart: return "start";
    case PoolActionKind::kActivate: return "activate";
    case PoolActionKind::kDrain: return "drain";
    case PoolActionKind::kCancel: return "cancel";
    case PoolActionKind::kResize: return "resize";
  }
  return "?";
}

/// What a plan does, in counts.
std::string actions_of(const PoolPlan& plan) {
  std::vector<std::pair<std::string, std::uint32_t>> counts;
  for (const PoolAction& action : plan.actions) {
    const std::string name = std::string(short_name(action.kind)) + (action.warm ? "_warm" : "");
    const auto found = std::ranges::find(counts, name, &std::pair<std::string, std::uint32_t>::first);
    if (found == counts.end()) counts.emplace_back(name, action.count);
    else found->second += action.count;
  }
  std::string text;
  for (const auto& [name, count] : counts) text += fmt::format(" {}:{}", name, count);
  return text;
}

/// The codes that explain the plan, the forecast's aside, each once.
std::string codes_of(const PoolPlan& plan) {
  std::vector<std::string> codes;
  for (const auto* reasons : {&plan.reasons, &plan.conditions}) {
    for (const Reason& reason : *reasons) {
      if (reason.code != "forecast" && std::ranges::find(codes, reason.code) == codes.end()) codes.push_back(reason.code);
    }
  }
  return fmt::format("{}", fmt::join(codes, ","));
}

}  // namespace

std::vector<Scenario> all_scenarios() { return {step(), ramp(), sine(), spike(), zero(), scarce(), phases(), outage()}; }

Result<std::string> play(const Scenario& scenario) {
  scaling::PlannerConfig config;
  config.interval_s = kScenarioIntervalS;
  config.gpu_budget = scenario.gpu_budget;
  for (const SimulatedPool& pool : scenario.pools) config.pools.push_back(pool.config);
  FLEXPERT_ASSIGN(auto planner, scaling::PoolPlanner::create(config));
  SimulatedFleet fleet(scenario.pools, scenario.gpu_budget, kScenarioIntervalS, 1);
  std::string text =
      fmt::format("# {}\n# hh:mm:ss pool load/s | ready starting warm draining | wanted granted target | actions | why\n", scenario.story);
  std::uint64_t most = 0;
  for (int cycle = 0; cycle < scenario.cycles; ++cycle) {
    std::vector<double> loads;
    for (std::size_t i = 0; i < scenario.pools.size(); ++i) loads.push_back(scenario.load(i, cycle));
    const ScalePlan plan = planner->plan(fleet.observe(loads));
    const int at = cycle * static_cast<int>(kScenarioIntervalS);
    for (std::size_t i = 0; i < plan.pools.size(); ++i) {
      const PoolPlan& pool = plan.pools[i];
      if (pool.actions.empty()) continue;
      text += fmt::format("{:02}:{:02}:{:02} {} {:.1f} | {} {} {} {} | {} {} {} |{} | {}\n", at / 3600, at / 60 % 60, at % 60, pool.pool,
                          loads[i], fleet.count(i, InstanceState::kReady), fleet.count(i, InstanceState::kStarting),
                          fleet.count(i, InstanceState::kWarm), fleet.count(i, InstanceState::kDraining), pool.wanted, pool.granted,
                          pool.target, actions_of(pool), codes_of(pool));
    }
    fleet.apply(plan);
    most = std::max(most, fleet.gpus_held());
    if (scenario.gpu_budget && fleet.gpus_held() > *scenario.gpu_budget)
      return fail(ErrorCode::kInternal, "{}: over the budget in cycle {}", scenario.name, cycle);
  }
  for (std::size_t i = 0; i < scenario.pools.size(); ++i) {
    const PoolRecord& record = fleet.record(i);
    text += fmt::format("# {}: {} changes, {} reversals, {:.0f} s with too little capacity, {:.1f} GPU hours\n",
                        scenario.pools[i].config.id, record.changes, record.reversals, record.shortfall_s, record.gpu_s / 3600);
  }
  text += fmt::format("# at most {} GPUs of {}\n", most, scenario.gpu_budget.value_or(0));
  return text;
}

}  // namespace flexpert::scenarios
