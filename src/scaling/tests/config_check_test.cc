#include <limits>

#include <gtest/gtest.h>

#include "scaling/manual.h"
#include "scaling/policy_check.h"
#include "scaling/policy_factory.h"
#include "scaling/pool_config.h"
#include "scaling/tests/policy_bench.h"

namespace flexpert::scaling {
namespace {

PlannerConfig two_pools() {
  PlannerConfig config;
  for (const char* name : {"a", "b"}) {
    PoolConfig pool;
    pool.id = PoolId{name};
    pool.policies.push_back({"manual", CombineRule::kMax, ManualOptions{2}});
    config.pools.push_back(std::move(pool));
  }
  return config;
}

std::string error_of(const PlannerConfig& config) {
  const auto checked = validate(config);
  return checked ? "" : checked.error().message;
}

TEST(ConfigCheck, AcceptsTheDefaults) { EXPECT_EQ(error_of(two_pools()), ""); }

TEST(ConfigCheck, NamesTheFieldOfWhatContradicts) {
  PlannerConfig config = two_pools();
  config.pools[1].limits = {5, 4, {}};
  EXPECT_EQ(error_of(config), "pools[1].min: 5 is over max, which is 4; allowed: a whole number from 0 to max");
  config = two_pools();
  config.pools[1].id = config.pools[0].id;
  EXPECT_EQ(error_of(config), "pools[1].name: a pool a is already given; allowed: each name once");
  config = two_pools();
  config.gpu_budget = 1;
  EXPECT_TRUE(error_of(config).starts_with("gpu_budget: 1 is less than the pools' minima take, which is 2"));
  config = two_pools();
  config.pools[0].warm = {3, 2};
  EXPECT_TRUE(error_of(config).starts_with("pools[0].warm.min: 3 is over max"));
  config = two_pools();
  config.pools[0].role = config.pools[1].role = PoolRole::kPrefill;
  config.pools[0].deployment = config.pools[1].deployment = "d";
  EXPECT_TRUE(error_of(config).starts_with("pools[1].deployment: d already has a pool of role prefill"));
  config = two_pools();
  config.pools[0].forecast.predictor = "oracle";
  EXPECT_TRUE(error_of(config).starts_with("pools[0].forecast.predictor: \"oracle\" is not known; allowed: constant, "));
}

TEST(ConfigCheck, NumbersThatAreNoneAreRefusedWhereverTheyStand) {
  const double nan = std::nan("");
  const double infinite = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, infinite, -1.0}) {
    for (auto field : {&StabilisationOptions::up_window_s, &StabilisationOptions::down_window_s, &StabilisationOptions::hysteresis,
                       &StabilisationOptions::min_between_reversals_s, &StabilisationOptions::max_loading}) {
      PlannerConfig config = two_pools();
      config.pools[0].stabilisation.*field = bad;
      EXPECT_TRUE(error_of(config).starts_with("pools[0].stabilisation."));
    }
    EXPECT_FALSE(validate(PolicyOptions(ThresholdOptions{"m", bad, 0.1, 60, 60})));
    EXPECT_FALSE(validate(PolicyOptions(PredictiveOptions{bad, 0.8})));
    SlaOptions sla;
    sla.ttft_s = bad;
    EXPECT_FALSE(validate(PolicyOptions(sla)));
    KpaOptions kpa;
    kpa.stable_window_s = bad;
    EXPECT_FALSE(validate(PolicyOptions(kpa)));
    TargetTrackingOptions tracking;
    tracking.metrics.push_back({"m", TargetMetric::Kind::kPoolValue, bad});
    EXPECT_FALSE(validate(PolicyOptions(tracking)));
  }
}

TEST(ConfigCheck, RatePoliciesMustBeThereUnlessADirectionIsDisabled) {
  TargetTrackingOptions tracking;
  tracking.metrics.push_back({"m", TargetMetric::Kind::kPoolValue, 1});
  tracking.down.policies.clear();
  EXPECT_EQ(validate(PolicyOptions(tracking)).error().message, "down.policies: there is none; allowed: at least one, or select: disabled");
  tracking.down.select = ScalingRules::Select::kDisabled;
  EXPECT_TRUE(validate(PolicyOptions(tracking)));
}

TEST(ConfigCheck, ARateOfInstancesIsAtLeastOne) {
  TargetTrackingOptions options;
  options.metrics = {{"cpu", TargetMetric::Kind::kPerInstance, 0.7}};
  options.up.policies = {{RatePolicy::Kind::kInstances, 0.5, 15}};
  const auto checked = validate(PolicyOptions(options));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().message, "up.policies[0].value: 0.5 is out of range; allowed: a number from 1 to 100000");
  options.up.policies = {{RatePolicy::Kind::kPercent, 0.5, 15}};
  EXPECT_TRUE(validate(PolicyOptions(options)));
}

TEST(PolicyFactory, MakesEveryKindAndRefusesWhatIsWrong) {
  PoolConfig pool;
  TargetTrackingOptions tracking;
  tracking.metrics.push_back({"m", TargetMetric::Kind::kPoolValue, 1});
  const PolicyOptions kinds[] = {SlaOptions{},       tracking,           KpaOptions{},  ThresholdOptions{},
                                 ScheduleOptions{{}, {}, {}, 1}, PredictiveOptions{}, ManualOptions{3}};
  for (const PolicyOptions& options : kinds) {
    const auto policy = make_policy({"p", CombineRule::kMax, options}, pool);
    ASSERT_TRUE(policy) << policy.error().message;
    EXPECT_EQ((*policy)->kind(), kind_of(options));
  }
  EXPECT_FALSE(make_policy({"p", CombineRule::kMax, ThresholdOptions{"m", 0.8, 0.5, 60, 60}}, pool));
}

TEST(Manual, AlwaysWantsTheSame) {
  PolicyBench bench(make_manual_policy({3}), 1);
  EXPECT_EQ(bench.propose().replicas, 3U);
  EXPECT_EQ(bench.newest.reasons.front().code, "manual");
}

}  // namespace
}  // namespace flexpert::scaling
