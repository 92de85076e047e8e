// Properties of the whole planner on made-up fleets: the budget, save and restore, stale data, failing instances.
#include <array>

#include <gtest/gtest.h>

#include "scaling/pool_planner.h"
#include "scenarios/simulated_fleet.h"

namespace flexpert::scenarios {
namespace {

using scaling::PoolConfig;
using scaling::PoolPlanner;

PoolConfig manual_pool(const char* name, std::uint32_t gpus, std::uint32_t min, std::uint32_t max) {
  PoolConfig config;
  config.id = PoolId{name};
  config.gpus_per_instance = gpus;
  config.limits = {min, max, std::nullopt};
  config.policies.push_back({"manual", scaling::CombineRule::kMax, scaling::ManualOptions{min}});
  config.forecast.predictor = "constant";
  return config;
}

PoolConfig threshold_pool(const char* name, std::uint32_t min, std::uint32_t max) {
  PoolConfig config = manual_pool(name, 1, min, max);
  config.policies = {{"thresholds", scaling::CombineRule::kMax, scaling::ThresholdOptions{}}};
  return config;
}

std::unique_ptr<PoolPlanner> planner_for(std::vector<PoolConfig> pools, std::optional<std::uint32_t> budget) {
  scaling::PlannerConfig config;
  config.gpu_budget = budget;
  config.pools = std::move(pools);
  auto made = PoolPlanner::create(config);
  EXPECT_TRUE(made) << (made ? "" : made.error().message);
  return made ? std::move(*made) : nullptr;
}

/// Three pools of which people ask for random counts, with instances that start and drain at random speed and fail.
struct RandomFleet {
  explicit RandomFleet(std::uint64_t seed) : draws(seed) {
    std::vector<SimulatedPool> simulated(3);
    std::vector<PoolConfig> configs;
    std::uint32_t minima = 0;
    for (std::size_t i = 0; i < simulated.size(); ++i) {
      PoolConfig config = manual_pool(std::array{"a", "b", "c"}[i], 1 + static_cast<std::uint32_t>(draws.below(4)),
                                      static_cast<std::uint32_t>(draws.below(3)), 12);
      config.priority = static_cast<int>(draws.below(2));
      config.warm = {0, static_cast<std::uint32_t>(draws.below(3))};
      config.warm.min = config.warm.max / 2;
      config.never_ready_s = 120;
      minima += config.limits.min * config.gpus_per_instance;
      simulated[i] = {.config = config, .instances = config.limits.min, .startup_s = 10 + 80 * draws.uniform(), .startup_spread = 0.9,
                      .appear_s = 20 * draws.uniform(), .drain_s = 200 * draws.uniform(), .never_ready = 0.2 * draws.uniform(),
                      .crash = 0.02 * draws.uniform(), .engine = std::nullopt};
      configs.push_back(config);
    }
    budget = minima + static_cast<std::uint32_t>(draws.below(20));
    planner = planner_for(configs, budget);
    fleet.emplace(simulated, budget, 15, seed);
  }
  PoolsSnapshot next() {
    for (std::size_t i = 0; i < 3; ++i) {
      if (draws.below(8) != 0) continue;
      PoolLimits limits = planner->config().pools[i].limits;
      limits.manual = limits.min + static_cast<std::uint32_t>(draws.below(limits.max - limits.min + 1));
      fleet->set_limits(i, limits);
    }
    return fleet->observe({5 * draws.uniform(), 5 * draws.uniform(), 5 * draws.uniform()});
  }

  Rng draws;
  std::uint32_t budget = 0;
  std::unique_ptr<PoolPlanner> planner;
  std::optional<SimulatedFleet> fleet;
};

TEST(PlannerProperties, NoInstanceEverHoldsAGpuOverTheBudget) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    RandomFleet random(seed);
    std::uint64_t most = 0;
    for (int cycle = 0; cycle < 120; ++cycle) {
      const ScalePlan plan = random.planner->plan(random.next());
      random.fleet->apply(plan);
      most = std::max(most, random.fleet->gpus_held());
      ASSERT_LE(random.fleet->gpus_held(), random.budget) << "seed " << seed << ", cycle " << cycle;
      ASSERT_LE(plan.gpus_after, random.budget);
    }
    EXPECT_GT(most, 0U);
  }
}

TEST(PlannerProperties, SavedAndRestoredItPlansTheSame) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    RandomFleet random(seed);
    std::unique_ptr<PoolPlanner> twin;
    const int saved_at = 5 + static_cast<int>(random.draws.below(40));
    for (int cycle = 0; cycle < 80; ++cycle) {
      if (cycle == saved_at) {
        twin = planner_for(random.planner->config().pools, random.budget);
        const auto restored = twin->restore(random.planner->save());
        ASSERT_TRUE(restored) << restored.error().message;
        ASSERT_EQ(twin->save(), random.planner->save());
      }
      const PoolsSnapshot snapshot = random.next();
      const ScalePlan plan = random.planner->plan(snapshot);
      if (twin) {
        ASSERT_EQ(twin->plan(snapshot), plan) << "seed " << seed << ", cycle " << cycle;
      }
      random.fleet->apply(plan);
    }
  }
}

TEST(PlannerProperties, DamagedStateIsRefusedOrReadAndNeverCrashes) {
  RandomFleet random(3);
  for (int cycle = 0; cycle < 40; ++cycle) random.fleet->apply(random.planner->plan(random.next()));
  const std::string whole = random.planner->save();
  auto twin = planner_for(random.planner->config().pools, random.budget);
  const std::string fresh = twin->save();
  EXPECT_FALSE(twin->restore(""));
  EXPECT_FALSE(twin->restore(whole.substr(0, whole.size() / 2)));
  EXPECT_EQ(twin->save(), fresh) << "as new after an error";
  for (int round = 0; round < 200; ++round) {
    std::string damaged = whole;
    damaged[random.draws.below(damaged.size())] = "0-9. \nxe"[random.draws.below(9)];
    if (!twin->restore(damaged)) {
      ASSERT_EQ(twin->save(), fresh);
    }
    static_cast<void>(twin->plan(random.next()));
  }
}

TEST(PlannerProperties, ASettledFleetUnderTheSameLoadIsLeftAlone) {
  auto planner = planner_for({threshold_pool("a", 1, 8)}, 8);
  SimulatedFleet fleet({{.config = threshold_pool("a", 1, 8), .instances = 2, .engine = std::nullopt}}, 8, 15, 1);
  for (int cycle = 0; cycle < 200; ++cycle) {
    const ScalePlan plan = planner->plan(fleet.observe({10}));
    EXPECT_TRUE(plan.pools[0].actions.empty()) << cycle;
    fleet.apply(plan);
  }
}

TEST(PlannerProperties, StaleTrafficNeverShrinksAPool) {
  auto planner = planner_for({threshold_pool("a", 1, 8)}, 8);
  SimulatedFleet fleet({{.config = threshold_pool("a", 1, 8), .instances = 6, .engine = std::nullopt}}, 8, 15, 1);
  for (int cycle = 0; cycle < 10; ++cycle) fleet.apply(planner->plan(fleet.observe({50})));
  const std::uint32_t before = fleet.count(0, InstanceState::kReady);
  fleet.set_traffic_age(0, 1000);
  for (int cycle = 0; cycle < 200; ++cycle) {
    const ScalePlan plan = planner->plan(fleet.observe({0.1}));
    fleet.apply(plan);
    ASSERT_EQ(fleet.count(0, InstanceState::kReady), before);
    ASSERT_FALSE(plan.pools[0].conditions.empty());
  }
  fleet.set_traffic_age(0, std::nullopt);
  for (int cycle = 0; cycle < 200; ++cycle) fleet.apply(planner->plan(fleet.observe({0.1})));
  EXPECT_LT(fleet.count(0, InstanceState::kReady), before) << "fresh data shrinks it";
}

TEST(PlannerProperties, AnInstanceThatNeverBecomesReadyIsCancelledInTimeAndTriedAgainLater) {
  PoolConfig config = manual_pool("a", 1, 1, 4);
  config.never_ready_s = 60;
  auto planner = planner_for({config}, 8);
  SimulatedFleet fleet({{.config = config, .instances = 0, .never_ready = 1, .engine = std::nullopt}}, 8, 15, 1);
  std::vector<int> starts;
  std::vector<int> cancels;
  for (int cycle = 0; cycle < 60; ++cycle) {
    const ScalePlan plan = planner->plan(fleet.observe({1}));
    for (const PoolAction& action : plan.pools[0].actions) (action.kind == PoolActionKind::kStart ? starts : cancels).push_back(cycle);
    fleet.apply(plan);
  }
  ASSERT_GE(starts.size(), 3U);
  ASSERT_GE(cancels.size(), 2U);
  EXPECT_LE(cancels[0] - starts[0], 4 + 2) << "60 s are four cycles, and two more at most";
  EXPECT_GE(starts[1] - cancels[0], 2) << "30 s of back-off";
  EXPECT_GT(starts[2] - cancels[1], starts[1] - cancels[0]) << "the back-off grows";
}

TEST(PlannerProperties, APoolThatFailsLeavesItsGpusToOthers) {
  PoolConfig failing = manual_pool("failing", 1, 0, 8);
  failing.never_ready_s = 60;
  const PoolConfig healthy = manual_pool("healthy", 1, 0, 8);
  auto planner = planner_for({failing, healthy}, 8);
  SimulatedFleet fleet({{.config = failing, .instances = 0, .never_ready = 1, .engine = std::nullopt},
                        {.config = healthy, .instances = 0, .engine = std::nullopt}},
                       8, 15, 3);
  fleet.set_limits(0, {0, 8, 8});
  fleet.set_limits(1, {0, 8, 8});
  for (int cycle = 0; cycle < 40; ++cycle) fleet.apply(planner->plan(fleet.observe({1, 1})));
  EXPECT_GE(fleet.count(1, InstanceState::kReady), 7U);
}

TEST(PlannerProperties, ADryRunPlansTheSameAgain) {
  auto planner = planner_for({manual_pool("a", 1, 3, 8)}, 8);
  SimulatedFleet fleet({{.config = manual_pool("a", 1, 3, 8), .instances = 1, .engine = std::nullopt}}, 8, 15, 1);
  for (int cycle = 0; cycle < 5; ++cycle) {
    const ScalePlan plan = planner->plan(fleet.observe({1}));
    planner->note_not_acted();
    ASSERT_EQ(plan.pools[0].actions.size(), 1U) << cycle;
    EXPECT_EQ(plan.pools[0].actions[0].count, 2U);
  }
}

}  // namespace
}  // namespace flexpert::scenarios
