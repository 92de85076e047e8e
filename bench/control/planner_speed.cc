// Bar 5 of the control plane: a full cycle of a thousand pools on one core, what the planner keeps of a pool, and the two
// estimations that are dear. CPU time of this thread, minimum of 100 runs.
#include <algorithm>
#include <cmath>
#include <ctime>
#include <functional>
#include <limits>
#include <numbers>
#include <vector>

#include <fmt/format.h>

#include "base/rng.h"
#include "figures.h"
#include "forecast/auto_arima.h"
#include "forecast/prophet.h"
#include "scaling/gpu_budget.h"
#include "scaling/pool_planner.h"

namespace {

using namespace flexpert;

constexpr int kRuns = 100;
constexpr std::size_t kPools = 1000;
constexpr int kHistory = 600;  // cycles before the first that is measured: every buffer of the mixture is full

double thread_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

double least_ms(const std::function<void()>& work) {
  double least = std::numeric_limits<double>::infinity();
  for (int run = 0; run < kRuns; ++run) {
    const double start = thread_ms();
    work();
    least = std::min(least, thread_ms() - start);
  }
  return least;
}

scaling::PlannerConfig thousand_pools(const char* predictor) {
  scaling::PlannerConfig config;
  config.gpu_budget = 6000;
  for (std::size_t i = 0; i < kPools; ++i) {
    scaling::PoolConfig pool;
    pool.id = PoolId{fmt::format("pool-{:04}", i)};
    pool.role = i % 4 == 0 ? PoolRole::kPrefill : i % 4 == 1 ? PoolRole::kDecode : PoolRole::kAggregated;
    if (i % 4 < 2) pool.deployment = fmt::format("model-{}", i / 4);
    pool.gpus_per_instance = 1U << (i % 4);
    pool.limits = {1, 8, std::nullopt};
    pool.priority = static_cast<int>(i % 2);
    pool.forecast.predictor = predictor;
    pool.warm = {0, 1};
    scaling::SlaOptions sla;
    sla.engine.emplace(perf::StepCoefficients{0.004, 0.00002, 0.0001, 1e-8}, perf::EngineLimits{});
    pool.policies.push_back({"sla", scaling::CombineRule::kMax, sla});
    scaling::TargetTrackingOptions tracking;
    tracking.metrics.push_back({"gpu", scaling::TargetMetric::Kind::kPerInstance, 0.7});
    pool.policies.push_back({"gpu", scaling::CombineRule::kMax, tracking});
    config.pools.push_back(std::move(pool));
  }
  return config;
}

/// Loads that rise and fall over the day, with noise, each pool at its own hour; four instances each.
class Fleet {
 public:
  explicit Fleet(const scaling::PlannerConfig& config) {
    snapshot_.unix_ms = 1'700'000'000'000;
    snapshot_.gpu_budget = config.gpu_budget;
    for (const scaling::PoolConfig& pool : config.pools) {
      PoolObservation seen;
      seen.pool = pool.id;
      seen.limits = pool.limits;
      seen.startup_s = 90;
      for (int k = 0; k < 4; ++k) {
        PoolInstance instance;
        instance.id = InstanceId{fmt::format("{}-{}", pool.id, k)};
        instance.state = InstanceState::kReady;
        instance.since_unix_ms = snapshot_.unix_ms - 3'600'000;
        seen.instances.push_back(std::move(instance));
      }
      snapshot_.pools.push_back(std::move(seen));
    }
  }
  const PoolsSnapshot& next(double interval_s) {
    ++snapshot_.cycle;
    snapshot_.unix_ms += static_cast<std::int64_t>(interval_s * 1000);
    for (std::size_t i = 0; i < snapshot_.pools.size(); ++i) {
      PoolObservation& pool = snapshot_.pools[i];
      const double day = static_cast<double>(snapshot_.unix_ms) / 86'400'000 + static_cast<double>(i) / 1000;
      const double load = (10 + 6 * std::sin(2 * std::numbers::pi * day)) * (0.8 + 0.4 * rng_.uniform());
      pool.traffic.requests_per_s = MetricSample{load, 0};
      pool.traffic.isl = MetricSample{900 + 200 * rng_.uniform(), 0};
      pool.traffic.osl = MetricSample{180 + 40 * rng_.uniform(), 0};
      pool.traffic.ttft_s = MetricSample{0.1, 0};
      pool.traffic.itl_s = MetricSample{0.012, 0};
      pool.traffic.duration_s = MetricSample{2.5, 0};
      pool.traffic.in_flight = MetricSample{load * 2.5, 0};
      pool.traffic.queued = MetricSample{0, 0};
      for (PoolInstance& instance : pool.instances) {
        instance.in_flight = 5;
        instance.remaining_tokens = std::floor(500 * rng_.uniform());
        instance.metrics["gpu"] = {0.5 + 0.2 * rng_.uniform(), 0};
      }
    }
    return snapshot_;
  }

 private:
  PoolsSnapshot snapshot_;
  Rng rng_{9};
};

Result<void> measure_cycle(bench::Figures& figures, const char* predictor, bool with_bar) {
  const scaling::PlannerConfig config = thousand_pools(predictor);
  FLEXPERT_ASSIGN(auto planner, scaling::PoolPlanner::create(config));
  Fleet fleet(config);
  for (int i = 0; i < kHistory; ++i) static_cast<void>(planner->plan(fleet.next(config.interval_s)));
  double least = std::numeric_limits<double>::infinity();
  double most = 0;
  for (int run = 0; run < kRuns; ++run) {
    const PoolsSnapshot& snapshot = fleet.next(config.interval_s);
    const double start = thread_ms();
    const ScalePlan plan = planner->plan(snapshot);
    const double took = thread_ms() - start;
    least = std::min(least, took);
    most = std::max(most, took);
  }
  const double bytes = static_cast<double>(planner->save().size()) / kPools;
  const std::string prefix = fmt::format("{}.", predictor);
  if (with_bar) {
    figures.hold(prefix + "cycle_1000_pools", least, "ms", "<= 250", least <= 250);
    figures.hold(prefix + "state_of_a_pool", bytes / 1024, "KiB", "<= 64", bytes <= 65536);
  } else {
    figures.note(prefix + "cycle_1000_pools", least, "ms");
    figures.note(prefix + "state_of_a_pool", bytes / 1024, "KiB");
  }
  figures.note(prefix + "slowest_cycle_of_100", most, "ms");
  return {};
}

void measure_budget(bench::Figures& figures) {
  Rng rng(4);
  std::vector<scaling::BudgetClaim> claims(kPools);
  for (auto& claim : claims)
    claim = {1 + static_cast<std::uint32_t>(rng.below(60)), 1, 1 + static_cast<std::uint32_t>(rng.below(8)), static_cast<int>(rng.below(3)),
             1 + rng.uniform()};
  figures.note("split_of_1000_pools", least_ms([&] { static_cast<void>(scaling::split_budget(claims, 60'000)); }), "ms");
}

void measure_estimations(bench::Figures& figures) {
  Rng rng(12);
  std::vector<double> series(100);
  double level = 50;
  for (double& value : series) {
    level += 4 * (rng.uniform() - 0.5);
    value = level + 5 * rng.uniform();
  }
  const double arima = least_ms([&] { static_cast<void>(forecast::select_order(series)); });
  figures.hold("arima_order_100_points", arima, "ms", "<= 5", arima <= 5);

  std::vector<double> times(288);
  std::vector<double> values(288);
  for (std::size_t i = 0; i < times.size(); ++i) {
    times[i] = 1.7e9 + 600.0 * static_cast<double>(i);
    values[i] = 40 + 15 * std::sin(2 * std::numbers::pi * times[i] / 86400) + 6 * rng.uniform();
  }
  const double prophet = least_ms([&] { static_cast<void>(forecast::fit_prophet(times, values)); });
  figures.hold("prophet_288_points", prophet, "ms", "<= 10", prophet <= 10);
}

Result<void> measure(bench::Figures& figures) {
  measure_estimations(figures);
  measure_budget(figures);
  FLEXPERT_TRY(measure_cycle(figures, "exponential", false));
  return measure_cycle(figures, "mixture", true);
}

}  // namespace

int main() {
  bench::Figures figures("planner-speed",
                         "CPU time of one thread, minimum of 100 runs; 1,000 pools (SLA and GPU target tracking each, half of them "
                         "prefill and decode pairs, 1-8 GPUs an instance, one budget) after 600 cycles of history");
  const auto done = measure(figures);
  if (!done) fmt::print(stderr, "planner-speed: {}\n", done.error().message);
  return figures.verdict(done.has_value());
}
