// Bar 6 of the control plane: constant load with 10 % of noise either way for a simulated day, through the whole planner on a
// made-up fleet: how often the count of instances turns back.
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/rng.h"
#include "figures.h"
#include "scaling/default_policies.h"
#include "scaling/pool_planner.h"
#include "scenarios/simulated_fleet.h"

namespace {

using namespace flexpert;
using scaling::CombineRule;
using scaling::PolicyConfig;

constexpr double kIntervalS = 15;
constexpr int kDay = 86'400 / static_cast<int>(kIntervalS);

struct Combination {
  const char* name;
  bool has_bar;
  std::vector<PolicyConfig> policies;
};

perf::EngineModel engine() { return {{0.004, 0.00002, 0.0001, 1e-8}, {}}; }

PolicyConfig sla(bool known) {
  scaling::SlaOptions options;
  if (known) options.engine = engine();
  return {"sla", CombineRule::kMax, options};
}

PolicyConfig predictive(double capacity) { return {"predictive", CombineRule::kMax, scaling::PredictiveOptions{capacity, 0.8}}; }

PolicyConfig tracking(const char* metric, scaling::TargetMetric::Kind kind, double target) {
  scaling::TargetTrackingOptions options;
  options.metrics.push_back({metric, kind, target});
  return {std::string("tracking_") + metric, CombineRule::kMax, options};
}

std::vector<Combination> combinations() {
  using Kind = scaling::TargetMetric::Kind;
  const PolicyConfig utilisation{"utilisation", CombineRule::kMax, scaling::ThresholdOptions{}};
  scaling::KpaOptions kpa;
  kpa.target = 40;
  const PolicyConfig concurrency{"kpa", CombineRule::kMax, kpa};
  return {
      {"sla", true, {sla(true)}},
      {"predictive", true, {predictive(12)}},
      {"predictive_learned", true, {predictive(0)}},
      {"utilisation", true, {utilisation}},
      {"default", true, scaling::default_policies(PoolRole::kAggregated)},
      {"all_learned", true, {sla(false), predictive(0), utilisation}},
      {"hpa_gpu", false, {tracking("gpu", Kind::kPerInstance, 0.7)}},
      {"hpa_requests", false, {tracking("requests_per_s", Kind::kPoolAverage, 10)}},
      {"kpa_concurrency", false, {concurrency}},
      {"sla_and_hpa", false, {sla(true), tracking("gpu", Kind::kPerInstance, 0.7)}},
  };
}

struct Outcome {
  std::uint64_t reversals = 0;
  std::uint64_t changes = 0;
  double shortfall_s = 0;
  double gpu_hours = 0;
};

/// Runs one day for each of some loads, that lie at odd places between whole instances.
Result<void> days(const std::vector<PolicyConfig>& policies, double first_load_of_an_instance, Outcome& outcome) {
  const std::vector<double> loads{3, 9.7, 17.3, 24.1, 38.6, 55.9, 71.2, 96.4};
  for (std::size_t i = 0; i < loads.size(); ++i) {
    scaling::PoolConfig pool;
    pool.id = PoolId{"pool"};
    pool.limits = {1, 24, std::nullopt};
    pool.policies = policies;
    scaling::PlannerConfig config;
    config.interval_s = kIntervalS;
    config.gpu_budget = 24;
    config.pools = {pool};
    FLEXPERT_ASSIGN(auto planner, scaling::PoolPlanner::create(config));
    scenarios::SimulatedPool simulated;
    simulated.config = pool;
    simulated.instances = static_cast<std::uint32_t>(std::ceil(loads[i] / first_load_of_an_instance));
    simulated.startup_s = 60;
    simulated.startup_spread = 0.2;
    simulated.engine = engine();
    scenarios::SimulatedFleet fleet({simulated}, config.gpu_budget, kIntervalS, i + 1);
    Rng noise(100 + i);
    for (int cycle = 0; cycle < kDay; ++cycle) fleet.apply(planner->plan(fleet.observe({loads[i] * (0.9 + 0.2 * noise.uniform())})));
    const scenarios::PoolRecord& record = fleet.record(0);
    outcome.reversals += record.reversals;
    outcome.changes += record.changes;
    outcome.shortfall_s += record.shortfall_s;
    outcome.gpu_hours += record.gpu_s / 3600;
  }
  return {};
}

Result<void> measure(bench::Figures& figures) {
  for (const Combination& combination : combinations()) {
    Outcome outcome;
    FLEXPERT_TRY(days(combination.policies, 15, outcome));
    FLEXPERT_TRY(days(combination.policies, 6, outcome));
    const std::string name = combination.name;
    const auto reversals = static_cast<double>(outcome.reversals);
    if (combination.has_bar) figures.hold(name + ".reversals", reversals, "in 16 days", "= 0", outcome.reversals == 0);
    else figures.note(name + ".reversals", reversals, "in 16 days");
    figures.note(name + ".changes", static_cast<double>(outcome.changes), "in 16 days");
    figures.note(name + ".shortfall", outcome.shortfall_s, "s of 16 days");
    figures.note(name + ".gpus", outcome.gpu_hours, "GPU hours");
  }
  return {};
}

}  // namespace

int main() {
  bench::Figures figures(
      "stability",
      "sixteen simulated days, each of constant load with +-10 % of noise, from 3 to 96 requests/s, a cycle every 15 s, start-up "
      "in about 60 s, beginning with an instance for every 15 requests/s and again for every 6; the whole planner with its default "
      "options");
  const auto done = measure(figures);
  if (!done) fmt::print(stderr, "stability: {}\n", done.error().message);
  return figures.verdict(done.has_value());
}
