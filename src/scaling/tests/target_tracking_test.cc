#include "scaling/target_tracking.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "scaling/tests/policy_bench.h"

namespace flexpert::scaling {
namespace {

using Kind = TargetMetric::Kind;
using Rate = RatePolicy::Kind;

/// Without windows and rates, unless a test sets them.
TargetTrackingOptions tracking(std::vector<TargetMetric> metrics = {{"load", Kind::kPerInstance, 100}}) {
  TargetTrackingOptions options;
  options.metrics = std::move(metrics);
  options.up = {0, {{Rate::kPercent, 1e5, 15}}, ScalingRules::Select::kMax};
  options.down = {0, {{Rate::kPercent, 100, 15}}, ScalingRules::Select::kMax};
  return options;
}

struct TrackingBench : PolicyBench {
  TrackingBench(const TargetTrackingOptions& options, std::uint32_t ready) : PolicyBench(make_target_tracking_policy(options), ready) {}
  /// Gives ready instances these values, in order; NaN leaves the metric out.
  std::uint32_t each(const std::vector<double>& values, const std::string& metric = "load") {
    std::size_t at = 0;
    for (PoolInstance& instance : observation.instances) {
      if (instance.state != InstanceState::kReady || at == values.size()) continue;
      if (std::isnan(values[at])) instance.metrics.erase(metric);
      else instance.metrics[metric] = {values[at], 0};
      ++at;
    }
    return propose().replicas.value_or(9999);
  }
  std::uint32_t all(double value) { return each(std::vector<double>(observation.instances.size(), value)); }
};

const double kMissing = std::nan("");

TEST(TargetTracking, ScalesByTheRatioRoundedUpOutsideTheTolerance) {
  TrackingBench bench(tracking(), 3);
  EXPECT_EQ(bench.all(200), 6U);
  EXPECT_EQ(bench.all(109), 3U);
  EXPECT_EQ(bench.all(111), 4U);
  EXPECT_EQ(bench.all(91), 3U);
  EXPECT_EQ(bench.all(60), 2U);
}

TEST(TargetTracking, TheLargestOfSeveralMetricsCounts) {
  TrackingBench bench(tracking({{"load", Kind::kPerInstance, 100}, {"queued", Kind::kPoolAverage, 5}}), 2);
  bench.observation.traffic.queued = MetricSample{35, 0};
  EXPECT_EQ(bench.all(50), 7U);
  EXPECT_NE(bench.newest.reasons.front().text.find("queued"), std::string::npos);
}

TEST(TargetTracking, AMissingMetricBlocksShrinkingNotGrowing) {
  TrackingBench bench(tracking({{"load", Kind::kPerInstance, 100}, {"gone", Kind::kPoolValue, 5}}), 4);
  EXPECT_EQ(bench.all(50), 4U);
  EXPECT_FALSE(bench.newest.may_shrink);
  EXPECT_EQ(bench.newest.conditions.front().code, "metric_missing");
  EXPECT_EQ(bench.all(150), 6U);
}

TEST(TargetTracking, AllMetricsMissingIsNoOpinion) {
  TrackingBench bench(tracking(), 4);
  EXPECT_FALSE(bench.propose().replicas);
  EXPECT_FALSE(bench.newest.may_shrink);
}

TEST(TargetTracking, InstancesWithoutTheMetricCountFullWhenShrinkingAndNothingWhenGrowing) {
  TrackingBench bench(tracking(), 4);
  EXPECT_EQ(bench.each({30, 30, 30, kMissing}), 2U);   // (90 + 100) / 400 of 4
  EXPECT_EQ(bench.each({150, 150, 150, kMissing}), 5U);  // 450 / 400 of 4, rounded up
}

TEST(TargetTracking, WhereTheMissingOnesTurnTheDirectionRoundNothingChanges) {
  TrackingBench bench(tracking(), 4);
  EXPECT_EQ(bench.each({120, 120, kMissing, kMissing}), 4U);  // 240 / 400 would shrink
  EXPECT_EQ(bench.each({120, 120, 120, kMissing}), 4U);       // 360 / 400 is within the tolerance
}

TEST(TargetTracking, InstancesThatStartCountNothingWhenGrowingAndAreLeftOutWhenShrinking) {
  TrackingBench bench(tracking(), 2);
  bench.starting(2);
  EXPECT_EQ(bench.each({300, 300}), 6U);  // 600 / 400 of 4
  EXPECT_EQ(bench.each({190, 190}), 4U);  // 380 / 400: within the tolerance, so no cascade while they load
  EXPECT_EQ(bench.each({50, 50}), 1U);
}

TEST(TargetTracking, CpuOfAnInstanceThatJustBecameReadyDoesNotScaleUp) {
  TrackingBench bench(tracking({{"cpu", Kind::kPerInstance, 100}}), 1);
  bench.add(InstanceState::kReady, bench.now - 10'000);
  EXPECT_EQ(bench.each({100, 900}, "cpu"), 2U);
  bench.pass(30);
  EXPECT_EQ(bench.each({100, 900}, "cpu"), 10U);
}

TEST(TargetTracking, DrainingAndFailedInstancesDoNotCount) {
  TrackingBench bench(tracking(), 2);
  for (const InstanceState state : {InstanceState::kDraining, InstanceState::kFailed, InstanceState::kWarm}) {
    bench.add(state, 0);
    bench.observation.instances.back().metrics["load"] = {5000, 0};
  }
  EXPECT_EQ(bench.each({150, 150}), 3U);
}

TEST(TargetTracking, PoolMetricsAreAValueOrAnAverage) {
  TrackingBench value(tracking({{"ttft_s", Kind::kPoolValue, 0.5}}), 4);
  EXPECT_EQ(value.with("ttft_s", 1.0).replicas, 8U);
  TrackingBench average(tracking({{"requests_per_s", Kind::kPoolAverage, 10}}), 4);
  EXPECT_EQ(average.with("requests_per_s", 61).replicas, 7U);
  EXPECT_EQ(average.with("requests_per_s", 43).replicas, 4U);
}

TEST(TargetTracking, WakesFromZeroByAPoolMetric) {
  TargetTrackingOptions options = tracking({{"queued", Kind::kPoolAverage, 10}});
  options.up.policies.push_back({Rate::kInstances, 4, 15});  // a percentage of nothing is nothing
  TrackingBench bench(options, 0);
  EXPECT_EQ(bench.with("queued", 0).replicas, 0U);
  EXPECT_EQ(bench.with("queued", 11).replicas, 2U);
}

TEST(TargetTracking, TheDownWindowKeepsTheLargestRecommendation) {
  TargetTrackingOptions options = tracking();
  options.down.stabilisation_s = 300;
  TrackingBench bench(options, 4);
  EXPECT_EQ(bench.all(50), 4U) << "the count at the first sight is the first recommendation";
  bench.pass(290);
  EXPECT_EQ(bench.all(50), 4U);
  bench.pass(10);
  EXPECT_EQ(bench.all(50), 2U);
}

TEST(TargetTracking, TheUpWindowKeepsTheSmallestRecommendation) {
  TargetTrackingOptions options = tracking();
  options.up.stabilisation_s = 60;
  TrackingBench bench(options, 2);
  EXPECT_EQ(bench.all(200), 2U);
  bench.pass(59);
  EXPECT_EQ(bench.all(200), 2U);
  bench.pass(1);
  EXPECT_EQ(bench.all(200), 4U);
}

TEST(TargetTracking, RatePoliciesCountWhatChangedInTheirPeriod) {
  TargetTrackingOptions options = tracking();
  options.up = {0, {{Rate::kInstances, 4, 60}}, ScalingRules::Select::kMax};
  TrackingBench bench(options, 4);
  EXPECT_EQ(bench.all(900), 8U);
  bench.set(8);
  bench.pass(15);
  EXPECT_EQ(bench.all(900), 8U);
  bench.pass(45);
  EXPECT_EQ(bench.all(900), 12U);
}

TEST(TargetTracking, SelectTakesTheLargestOrSmallestChangeOrNone) {
  const std::vector<RatePolicy> both{{Rate::kInstances, 4, 60}, {Rate::kPercent, 10, 60}};
  TargetTrackingOptions options = tracking();
  options.up = options.down = {0, both, ScalingRules::Select::kMin};
  TrackingBench least(options, 80);
  EXPECT_EQ(least.all(500), 84U);
  EXPECT_EQ(least.all(10), 76U);
  options.up.select = options.down.select = ScalingRules::Select::kMax;
  TrackingBench most(options, 80);
  EXPECT_EQ(most.all(500), 88U);
  EXPECT_EQ(most.all(10), 72U);
  options.up.select = options.down.select = ScalingRules::Select::kDisabled;
  TrackingBench none(options, 80);
  EXPECT_EQ(none.all(500), 80U);
  EXPECT_EQ(none.all(10), 80U);
}

TEST(TargetTracking, KubernetesDefaultsDoubleOrAddFourWithin15Seconds) {
  TargetTrackingOptions options;
  options.metrics = {{"load", Kind::kPerInstance, 100}};
  EXPECT_EQ(TrackingBench(options, 1).all(5000), 5U);
  EXPECT_EQ(TrackingBench(options, 10).all(5000), 20U);
}

TEST(TargetTracking, RestoredGoesOnAlike) {
  Rng rng(11);
  TargetTrackingOptions options;
  options.metrics = {{"load", Kind::kPerInstance, 100}};
  TrackingBench bench(options, 5);
  for (int i = 0; i < 60; ++i) {
    bench.set(std::min(bench.all(40 + 120 * rng.uniform()), 40U));
    bench.pass(15);
  }
  auto other = make_target_tracking_policy(options);
  bench.copy_state_to(*other);
  for (int i = 0; i < 60; ++i) {
    const double value = 40 + 120 * rng.uniform();
    for (PoolInstance& instance : bench.observation.instances) instance.metrics["load"] = {value, 0};
    const auto theirs = bench.propose_with(*other).replicas;
    ASSERT_EQ(theirs, bench.propose().replicas);
    bench.set(std::min(*theirs, 40U));
    bench.pass(15);
  }
}

TEST(TargetTracking, AnOverloadedPoolIsNotShrunkWhileMostOfItStarts) {
  TrackingBench bench(tracking({{"ttft", Kind::kPoolValue, 1}}), 2);
  bench.observation.metrics["ttft"] = {2, 0};
  bench.starting(4);
  EXPECT_EQ(bench.propose().replicas, 6U) << "2 ready at twice the target are 4, and 6 are on their way";
  bench.observation.metrics["ttft"] = {4, 0};
  EXPECT_EQ(bench.propose().replicas, 8U);
}

}  // namespace
}  // namespace flexpert::scaling
