// Figures that are wrong, missing or out of date, through the whole planner.
#include <array>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "scaling/pool_planner.h"

namespace flexpert::scaling {
namespace {

PlannerConfig one_pool(std::uint32_t min) {
  PoolConfig pool;
  pool.id = PoolId{"pool"};
  pool.limits = {min, 8, std::nullopt};
  pool.policies = {{"predictive", CombineRule::kMax, PredictiveOptions{10, 0.8}}};
  pool.forecast.predictor = "holt";
  pool.scale_to_zero_after_s = 60;
  PlannerConfig config;
  config.pools = {pool};
  return config;
}

/// A pool of instances that are ready for long, and the planner's plans for it every 15 s.
struct Watched {
  explicit Watched(const PlannerConfig& config, int instances = 2) : planner(std::move(*PoolPlanner::create(config))) {
    PoolObservation pool;
    pool.pool = PoolId{"pool"};
    pool.limits = config.pools[0].limits;
    for (int i = 0; i < instances; ++i) {
      pool.instances.push_back({InstanceId{fmt::format("i{}", i)}, InstanceState::kReady, 1'600'000'000'000, 0, 0, 0, {}});
    }
    snapshot.pools = {pool};
  }
  ScalePlan step(double requests_per_s) {
    ++snapshot.cycle;
    snapshot.unix_ms += 15'000;
    pool().traffic.requests_per_s = MetricSample{requests_per_s, 0};
    return planner->plan(snapshot);
  }
  PoolObservation& pool() { return snapshot.pools[0]; }

  std::unique_ptr<PoolPlanner> planner;
  PoolsSnapshot snapshot{0, 1'700'000'000'000, std::nullopt, {}};
};

bool all_numbers_finite(const PoolPlan& plan) {
  bool finite = true;
  const auto look = [&](const std::vector<Reason>& reasons) {
    for (const Reason& reason : reasons)
      for (const auto& [name, number] : reason.numbers) finite = finite && std::isfinite(number);
  };
  look(plan.reasons);
  look(plan.conditions);
  for (const PoolAction& action : plan.actions) look(action.reasons);
  return finite;
}

TEST(PlannerFaults, ReasonsHoldNumbersWhateverAMetricSays) {
  const double nan = std::nan("");
  for (const MetricSample sample : {MetricSample{nan, 0}, MetricSample{3, nan}, MetricSample{INFINITY, INFINITY}, MetricSample{-1, -INFINITY}}) {
    Watched watched(one_pool(1));
    static_cast<void>(watched.step(5));
    watched.pool().traffic.isl = watched.pool().traffic.queued = sample;
    watched.pool().traffic.requests_per_s = sample;
    watched.snapshot.unix_ms += 15'000;
    const ScalePlan plan = watched.planner->plan(watched.snapshot);
    EXPECT_TRUE(all_numbers_finite(plan.pools[0]));
    EXPECT_FALSE(plan.pools[0].conditions.empty());
    EXPECT_EQ(plan, plan) << "a plan with NaN in it could never be replayed";
  }
}

TEST(PlannerFaults, AVictimWhoseTokensAreNoNumberIsExplainedAllTheSame) {
  Watched watched(one_pool(1), 6);
  for (PoolInstance& instance : watched.pool().instances) instance.remaining_tokens = std::nan("");
  bool shrunk = false;
  for (int cycle = 0; cycle < 60 && !shrunk; ++cycle) {
    const ScalePlan plan = watched.step(1);
    shrunk = !plan.pools[0].actions.empty();
    ASSERT_TRUE(all_numbers_finite(plan.pools[0]));
  }
  EXPECT_TRUE(shrunk);
}

TEST(PlannerFaults, ValuesThatNoPoolCanHaveAreNoFigures) {
  for (const char* predictor : {"holt", "holt_winters", "kalman", "arima", "prophet", "seasonal_naive", "mixture"}) {
    PlannerConfig config = one_pool(1);
    config.pools[0].forecast.predictor = predictor;
    Watched watched(config);
    for (int cycle = 0; cycle < 30; ++cycle) static_cast<void>(watched.step(cycle % 7 == 3 ? 1e300 : 5 + cycle % 3));
    Watched twin(config);
    const auto restored = twin.planner->restore(watched.planner->save());
    ASSERT_TRUE(restored) << predictor << ": " << restored.error().message;
    EXPECT_LE(watched.step(5).pools[0].wanted, 2U) << predictor;
  }
}

TEST(PlannerFaults, APoolIsNotIdleWhileItIsNotKnownWhatItServes) {
  for (auto field : {&PoolTraffic::in_flight, &PoolTraffic::queued}) {
    Watched watched(one_pool(0), 1);
    static_cast<void>(watched.step(5));
    watched.pool().traffic.*field = MetricSample{7, 1000};
    for (int cycle = 0; cycle < 100; ++cycle) ASSERT_TRUE(watched.step(0).pools[0].actions.empty()) << cycle;
    watched.pool().traffic.*field = MetricSample{0, 0};
    bool gone = false;
    for (int cycle = 0; cycle < 100 && !gone; ++cycle) gone = !watched.step(0).pools[0].actions.empty();
    EXPECT_TRUE(gone) << "fresh figures let it go";
  }
}

}  // namespace
}  // namespace flexpert::scaling
