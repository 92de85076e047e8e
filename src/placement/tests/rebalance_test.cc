#include "placement/rebalance.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "placement/replay_start.h"

namespace flexpert::placement {
namespace {

constexpr ExpertGeometry kGeometry{.layers = 2, .experts = 16};

ExpertCounts draw(Rng& rng, std::uint32_t hot, std::uint64_t tokens = 1000) {
  ExpertCounts counts{.geometry = kGeometry, .count = std::vector<double>(kGeometry.size()), .tokens = tokens};
  for (std::uint32_t l = 0; l < kGeometry.layers; ++l)
    for (std::uint64_t t = 0; t < tokens; ++t) {
      const auto expert = (hot + std::min({rng.below(16), rng.below(16), rng.below(16)})) % 16;
      counts.count[l * 16 + expert] += 1;
    }
  return counts;
}

RecordedWindow window(const ExpertCounts& counts) { return {.counts = counts, .parts = {}}; }

const ExpertCluster kCluster = ExpertCluster::uniform(4, 2, 5);

Rebalancer rebalancer(const RebalanceOptions& options) {
  auto made = Rebalancer::create(ring_layout(kGeometry, kCluster), kCluster, options);
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

/// Feeds a window and carries out the plan; returns the reason's code.
std::string feed(Rebalancer& balancer, const ExpertCounts& counts, std::uint64_t steps = 100) {
  const auto decision = balancer.observe(window(counts), steps);
  EXPECT_TRUE(decision) << decision.error().message;
  if (decision->plan) {
    EXPECT_TRUE(validate(decision->plan->layout));
    EXPECT_GT(decision->plan->moves.changed(), 0u);
    EXPECT_TRUE(balancer.adopt(decision->plan->layout));
  }
  return decision->reason.code;
}

TEST(Rebalancer, PlansFirstThenAtTheIntervalOnly) {
  Rng rng(1);
  Rebalancer balancer = rebalancer({.interval_steps = 300});
  EXPECT_EQ(feed(balancer, draw(rng, 0)), "first");
  EXPECT_EQ(feed(balancer, draw(rng, 0)), "interval_not_over");
  EXPECT_EQ(feed(balancer, draw(rng, 0)), "interval_not_over");
  const std::string code = feed(balancer, draw(rng, 0));
  EXPECT_TRUE(code == "interval" || code == "no_better") << code;
  EXPECT_EQ(feed(balancer, draw(rng, 0)), "interval_not_over");
}

TEST(Rebalancer, PlansEarlyWhenTheLoadDrifts) {
  Rng rng(2);
  Rebalancer balancer = rebalancer({.interval_steps = 100'000});
  feed(balancer, draw(rng, 0));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(feed(balancer, draw(rng, 0)), "interval_not_over");
  const auto decision = balancer.observe(window(draw(rng, 7)), 100);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->reason.code, "drift");
  ASSERT_TRUE(decision->plan);
  EXPECT_GT(decision->plan->balance.balancedness, decision->plan->before.balancedness);
}

TEST(Rebalancer, LeavesABalancedLayoutAlone) {
  Rng rng(3);
  Rebalancer balancer = rebalancer({.interval_steps = 1, .least_utilisation = 0.3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(feed(balancer, draw(rng, 0)), "balanced");
}

TEST(Rebalancer, KeepsToItsBudget) {
  Rng rng(4);
  const RebalanceOptions options{.interval_steps = 1, .budget = 0.05, .drift_budget = 0.1};
  Rebalancer balancer = rebalancer(options);
  for (std::uint32_t i = 0; i < 20; ++i) {
    const auto decision = balancer.observe(window(draw(rng, i / 3 * 5)), 1);
    ASSERT_TRUE(decision);
    if (!decision->plan) continue;
    const bool large = decision->reason.code != "interval";
    EXPECT_LE(decision->plan->moves.changed(), large ? 4u : 2u);
    ASSERT_TRUE(balancer.adopt(decision->plan->layout));
  }
}

TEST(Rebalancer, PutsSmallWindowsTogether) {
  Rng rng(5);
  Rebalancer balancer = rebalancer({.least_tokens = 250});
  EXPECT_EQ(feed(balancer, draw(rng, 0, 100)), "too_few_tokens");
  EXPECT_EQ(feed(balancer, draw(rng, 0, 0)), "too_few_tokens");
  EXPECT_EQ(feed(balancer, draw(rng, 0, 100)), "too_few_tokens");
  EXPECT_EQ(feed(balancer, draw(rng, 0, 100)), "first");
}

TEST(Rebalancer, MovesOnlyWhenTheyPay) {
  Rng rng(6);
  RebalanceOptions options{.interval_steps = 1, .bytes_per_expert = 40'000'000};
  options.worth = Worth{.cost = &StepCost::deepseek_v3_prefill(), .tokens_per_device = 8192, .steps = 0.001, .bytes_per_ms_same_node = 4e8,
                        .bytes_per_ms_cross_node = 5e7};
  Rebalancer balancer = rebalancer(options);
  EXPECT_EQ(feed(balancer, draw(rng, 0)), "not_worthwhile");
  options.worth->steps = 1e9;
  Rebalancer patient = rebalancer(options);
  EXPECT_EQ(feed(patient, draw(rng, 0)), "first");
}

TEST(Rebalancer, DoesNothingWhereImbalanceIsFree) {
  Rng rng(6);
  RebalanceOptions options{.interval_steps = 1};
  // Moves cost nothing here, and still there is nothing to save.
  options.worth = Worth{.cost = &StepCost::deepseek_v3_decode(), .tokens_per_device = 16, .steps = 1e9};
  Rebalancer balancer = rebalancer(options);
  EXPECT_EQ(feed(balancer, draw(rng, 0)), "imbalance_is_free");
  options.worth->cost = &StepCost::deepseek_v3_prefill();
  options.worth->tokens_per_device = 8192;
  Rebalancer busy = rebalancer(options);
  EXPECT_EQ(feed(busy, draw(rng, 0)), "first");
  options.worth->steps = -1;
  EXPECT_NE(validate(options).error().message.find("steps"), std::string::npos);
}

TEST(Rebalancer, ServesEverythingAgainAfterADeviceDied) {
  Rng rng(7);
  ExpertCluster cluster = ExpertCluster::uniform(4, 2, 6);
  auto balancer = Rebalancer::create(ring_layout(kGeometry, cluster), cluster, {});
  ASSERT_TRUE(balancer);
  feed(*balancer, draw(rng, 0));
  cluster.devices[1].alive = false;
  ASSERT_TRUE(balancer->set_cluster(cluster));
  const auto decision = balancer->observe(window(draw(rng, 0)), 1);
  ASSERT_TRUE(decision) << decision.error().message;
  ASSERT_TRUE(decision->plan);
  for (std::uint32_t l = 0; l < kGeometry.layers; ++l)
    for (std::uint32_t e = 0; e < kGeometry.experts; ++e) {
      const auto slots = decision->plan->layout.layer(l);
      std::uint32_t living = 0;
      for (std::size_t s = 0; s < slots.size(); ++s) living += slots[s] == static_cast<std::int32_t>(e) && s / 6 != 1 ? 1 : 0;
      EXPECT_GT(living, 0u) << l << " " << e;
    }
}

TEST(Rebalancer, EvenSplitsArePlannedForWhenTheEngineSplitsEvenly) {
  Rng rng(8);
  Rebalancer balancer = rebalancer({.interval_steps = 1, .splits_freely = false});
  const auto decision = balancer.observe(window(draw(rng, 0, 5000)), 1);
  ASSERT_TRUE(decision && decision->plan);
  EXPECT_GT(decision->plan->balance.balancedness, decision->plan->before.balancedness);
}

TEST(Rebalancer, RefusesWhatDoesNotFit) {
  EXPECT_EQ(validate(RebalanceOptions{.budget = 1.5}).error().message, "rebalance: budget must be from 0 to 1: 1.5");
  EXPECT_FALSE(Rebalancer::create(ring_layout(kGeometry, kCluster), ExpertCluster::uniform(4, 1, 6), {}));
  Rebalancer balancer = rebalancer({});
  EXPECT_FALSE(balancer.observe(window({.geometry = {.layers = 1, .experts = 2}, .count = {1, 2}, .tokens = 3}), 1));
  EXPECT_FALSE(balancer.adopt(bare_layout(kGeometry, 4)));
}

}  // namespace
}  // namespace flexpert::placement
