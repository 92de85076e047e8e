#include "scaling/thresholds.h"

#include <gtest/gtest.h>

#include "scaling/tests/policy_bench.h"

namespace flexpert::scaling {
namespace {

TEST(Thresholds, DoublesOverHighHalvesUnderLowStaysBetween) {
  PolicyBench bench(make_thresholds_policy({}), 4);
  EXPECT_EQ(bench.with("utilisation", 0.81).replicas, 8U);
  EXPECT_EQ(bench.with("utilisation", 0.8).replicas, 4U);
  EXPECT_EQ(bench.with("utilisation", 0.2).replicas, 4U);
  EXPECT_EQ(bench.with("utilisation", 0.19).replicas, 2U);
  bench.set(5);
  bench.pass(61);
  EXPECT_EQ(bench.with("utilisation", 0).replicas, 5U);  // it sees the change now
  bench.pass(61);
  EXPECT_EQ(bench.with("utilisation", 0).replicas, 3U);
}

TEST(Thresholds, WaitsForTheCooldownAfterAChange) {
  PolicyBench bench(make_thresholds_policy({}), 4);
  EXPECT_EQ(bench.with("utilisation", 0.9).replicas, 8U);
  bench.set(8);
  EXPECT_EQ(bench.with("utilisation", 0.9).replicas, 8U);
  EXPECT_EQ(bench.newest.reasons.front().code, "cooldown");
  bench.pass(60);
  EXPECT_EQ(bench.with("utilisation", 0.9).replicas, 16U);
}

TEST(Thresholds, InstancesThatLoadCount) {
  PolicyBench bench(make_thresholds_policy({}), 4);
  bench.starting(4);
  EXPECT_EQ(bench.with("utilisation", 0.95).replicas, 8U);
}

TEST(Thresholds, GoesByTheMeanOfTheInstances) {
  PolicyBench bench(make_thresholds_policy({}), 2);
  bench.observation.instances[0].metrics["utilisation"] = {1.0, 1};
  bench.observation.instances[1].metrics["utilisation"] = {0.7, 1};
  EXPECT_EQ(bench.propose().replicas, 4U);
  bench.observation.instances[1].metrics["utilisation"] = {0.7, 61};
  const Proposal stale = bench.propose();
  EXPECT_FALSE(stale.replicas);
  EXPECT_FALSE(stale.may_shrink);
  EXPECT_EQ(stale.conditions.front().code, "metric_missing");
}

TEST(Thresholds, MissingNegativeAndInfiniteMetricsNeverShrink) {
  PolicyBench bench(make_thresholds_policy({}), 4);
  for (const double bad : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_FALSE(bench.with("utilisation", bad).replicas);
    EXPECT_FALSE(bench.newest.may_shrink);
  }
}

TEST(Thresholds, RestoredGoesOnAlike) {
  PolicyBench bench(make_thresholds_policy({}), 4);
  bench.with("utilisation", 0.9);
  bench.set(8);
  bench.with("utilisation", 0.9);
  auto other = make_thresholds_policy({});
  bench.copy_state_to(*other);
  bench.pass(10);
  bench.observation.metrics["utilisation"] = {0.9, 0};
  EXPECT_EQ(bench.propose_with(*other).replicas, bench.propose().replicas);
}

}  // namespace
}  // namespace flexpert::scaling
