#include "placement/rebalance_search.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "placement/rebalance.h"
#include "placement/replay_start.h"

namespace flexpert::placement {
namespace {

ExpertCounts skewed(ExpertGeometry geometry, Rng& rng) {
  ExpertCounts counts{.geometry = geometry, .count = {}, .tokens = 1000};
  for (std::size_t i = 0; i < geometry.size(); ++i) counts.count.push_back(std::floor(rng.exponential(100)));
  return counts;
}

struct Case {
  ExpertCluster cluster;
  ExpertLayout layout;
  ExpertCounts counts;
};

Case random_case(Rng& rng) {
  const auto devices = static_cast<std::uint32_t>(2 + rng.below(7));
  const ExpertGeometry geometry{.layers = 2, .experts = devices * static_cast<std::uint32_t>(1 + rng.below(4))};
  const std::uint32_t slots = geometry.experts / devices + static_cast<std::uint32_t>(rng.below(3));
  Case one{.cluster = ExpertCluster::uniform(devices, 1, slots), .layout = {}, .counts = skewed(geometry, rng)};
  one.layout = ring_layout(geometry, one.cluster);
  return one;
}

TEST(RefineForDispatch, KeepsBudgetAndCoverageAndNeverGetsWorse) {
  Rng rng(1);
  for (int i = 0; i < 60; ++i) {
    const Case one = random_case(rng);
    const WeightedLoad load{.counts = &one.counts};
    const std::uint64_t budget = rng.below(12);
    const Refinement refined = refine_for_dispatch(one.layout, one.cluster, std::span(&load, 1), {.slots = budget});
    ASSERT_TRUE(validate(refined.layout));
    EXPECT_LE(refined.changed, budget);
    const Balance before = dispatched_balance(one.layout, one.cluster, one.counts);
    const Balance after = dispatched_balance(refined.layout, one.cluster, one.counts);
    for (std::uint32_t l = 0; l < 2; ++l) EXPECT_LE(after.layers[l].max_load, before.layers[l].max_load * 1.002);
    EXPECT_NEAR(after.balancedness, refined.after, 0.002);
  }
}

TEST(RefineForDispatch, SpreadsAHotExpertWithTheFewestSlots) {
  // Expert 0 has half of the load and one slot: two more replicas, of the cold ones' spares, let a split be level.
  const ExpertGeometry geometry{.layers = 1, .experts = 4};
  const ExpertCluster cluster = ExpertCluster::uniform(4, 1, 2);
  const ExpertLayout layout{.geometry = geometry, .slots_of_device = {2, 2, 2, 2}, .expert_of_slot = {0, 3, 1, 3, 2, 3, 3, 2}};
  const ExpertCounts counts{.geometry = geometry, .count = {500, 220, 180, 100}, .tokens = 1000};
  const WeightedLoad load{.counts = &counts};
  const Refinement refined = refine_for_dispatch(layout, cluster, std::span(&load, 1), {.least_gain = 0.01});
  EXPECT_NEAR(refined.before, 0.5, 1e-3);
  EXPECT_GT(refined.after, 0.99);
  EXPECT_LE(refined.changed, 3u);
}

TEST(RefineForDispatch, NeverPutsAnExpertTwiceOnADevice) {
  Rng rng(2);
  for (int i = 0; i < 60; ++i) {
    const Case one = random_case(rng);
    const WeightedLoad load{.counts = &one.counts};
    const Refinement refined = refine_for_dispatch(one.layout, one.cluster, std::span(&load, 1), {});
    EXPECT_LE(dispatched_balance(refined.layout, one.cluster, one.counts).duplicates,
              dispatched_balance(one.layout, one.cluster, one.counts).duplicates);
  }
}

TEST(RefineForDispatch, IsDoneWhenItSaysSo) {
  Rng rng(3);
  for (int i = 0; i < 20; ++i) {
    const Case one = random_case(rng);
    const WeightedLoad load{.counts = &one.counts};
    const Refinement once = refine_for_dispatch(one.layout, one.cluster, std::span(&load, 1), {.least_gain = 0.01});
    EXPECT_EQ(refine_for_dispatch(once.layout, one.cluster, std::span(&load, 1), {.least_gain = 0.01}).changed, 0u);
    EXPECT_EQ(refine_for_dispatch(one.layout, one.cluster, std::span(&load, 1), {.least_gain = 0.01}).layout, once.layout);
  }
}

TEST(RefineForDispatch, DeadDevicesGetNothingAndSlowOnesLess) {
  const ExpertGeometry geometry{.layers = 1, .experts = 4};
  ExpertCluster cluster = ExpertCluster::uniform(4, 1, 3);
  ExpertLayout layout = ring_layout(geometry, cluster);
  cluster.devices[3].alive = false;
  cluster.devices[0].speed = 0.5;
  const ExpertCounts counts{.geometry = geometry, .count = {100, 100, 100, 100}, .tokens = 400};
  const WeightedLoad load{.counts = &counts};
  const Refinement refined = refine_for_dispatch(layout, cluster, std::span(&load, 1), {});
  for (std::size_t s = 9; s < 12; ++s) EXPECT_EQ(refined.layout.expert_of_slot[s], layout.expert_of_slot[s]);
  EXPECT_GT(refined.after, 0.95);
}

TEST(RefineForDispatch, ServesSeveralLoadsAtOnce) {
  const ExpertGeometry geometry{.layers = 1, .experts = 6};
  const ExpertCluster cluster = ExpertCluster::uniform(3, 1, 3);
  const ExpertCounts a{.geometry = geometry, .count = {300, 60, 60, 60, 60, 60}, .tokens = 600};
  const ExpertCounts b{.geometry = geometry, .count = {60, 60, 60, 60, 60, 300}, .tokens = 600};
  const std::vector<WeightedLoad> both = {{.counts = &a}, {.counts = &b}};
  const Refinement refined = refine_for_dispatch(ring_layout(geometry, cluster), cluster, both, {});
  EXPECT_GT(dispatched_balance(refined.layout, cluster, a).balancedness, 0.95);
  EXPECT_GT(dispatched_balance(refined.layout, cluster, b).balancedness, 0.95);
}

TEST(RingLayout, IsNowhereWorseThanNoBalancing) {
  Rng rng(4);
  for (int i = 0; i < 50; ++i) {
    const Case one = random_case(rng);
    const ExpertLayout bare = bare_layout(one.counts.geometry, one.layout.devices());
    ASSERT_TRUE(validate(one.layout)) << validate(one.layout).error().message;
    EXPECT_GE(dispatched_balance(one.layout, one.cluster, one.counts).balancedness,
              dispatched_balance(bare, cluster_of(bare), one.counts).balancedness - 1e-9);
  }
}

}  // namespace
}  // namespace flexpert::placement
