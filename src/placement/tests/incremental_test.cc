#include "placement/incremental.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "placement/balance.h"
#include "placement/moves.h"

namespace flexpert::placement {
namespace {

struct Case {
  ExpertCounts counts;
  ExpertCluster cluster;
  ExpertLayout current;
};

/// Any small cluster with unlike devices, dead ones too, and any layout with a slot for each expert.
Case random_case(Rng& rng) {
  Case out;
  const auto below = [&rng](std::uint64_t n) { return static_cast<std::uint32_t>(rng.below(n)); };
  out.counts.geometry = {1 + below(4), 1 + below(12)};
  const std::uint32_t devices = 1 + below(6);
  for (std::uint32_t d = 0; d < devices; ++d)
    out.cluster.devices.push_back({d / 2, d / 2, below(6), rng.below(3) == 0 ? 0.5 + rng.uniform() : 1.0, rng.below(8) > 0});
  while (out.cluster.slots() < out.counts.geometry.experts) out.cluster.devices[below(devices)].slots += 1;
  out.current.geometry = out.counts.geometry;
  for (const ExpertDevice& device : out.cluster.devices) out.current.slots_of_device.push_back(device.slots);
  for (std::size_t i = 0; i < out.counts.geometry.size(); ++i)
    out.counts.count.push_back(rng.below(5) == 0 ? 0 : std::floor(std::exp(7 * rng.uniform())));
  const std::uint32_t slots = out.cluster.slots();
  for (std::uint32_t layer = 0; layer < out.counts.geometry.layers; ++layer) {
    std::vector<std::int32_t> row;
    for (std::uint32_t s = 0; s < slots; ++s)
      row.push_back(s < out.counts.geometry.experts ? static_cast<std::int32_t>(s)
                    : rng.below(6) == 0             ? kEmptySlot
                                                    : static_cast<std::int32_t>(rng.below(out.counts.geometry.experts)));
    for (std::uint32_t s = slots; s > 1; --s) std::swap(row[s - 1], row[rng.below(s)]);
    out.current.expert_of_slot.insert(out.current.expert_of_slot.end(), row.begin(), row.end());
  }
  return out;
}

std::uint64_t without_living_slot(const Case& test) {
  std::uint64_t out = 0;
  const auto device_of = device_of_slots(test.current.slots_of_device);
  for (std::uint32_t layer = 0; layer < test.counts.geometry.layers; ++layer)
    for (std::int32_t e = 0; e < static_cast<std::int32_t>(test.counts.geometry.experts); ++e) {
      bool served = false;
      for (std::uint32_t s = 0; s < device_of.size(); ++s)
        served = served || (test.current.layer(layer)[s] == e && test.cluster.devices[device_of[s]].alive);
      out += !served;
    }
  return out;
}

void expect_promises(const Case& test, const MoveBudget& budget, const PlacementPlan& plan) {
  ASSERT_TRUE(check_match(plan.layout, test.cluster, test.counts)) << "every expert is served";
  ASSERT_LE(plan.moves.changed(), budget.slots);
  ASSERT_LE(plan.moves.bytes, budget.bytes);
  const auto device_of = device_of_slots(test.current.slots_of_device);
  std::uint64_t changed = 0;
  for (std::size_t i = 0; i < plan.layout.expert_of_slot.size(); ++i) {
    const bool alive = test.cluster.devices[device_of[i % device_of.size()]].alive;
    ASSERT_TRUE(alive || plan.layout.expert_of_slot[i] == kEmptySlot);
    changed += alive && plan.layout.expert_of_slot[i] != test.current.expert_of_slot[i];
  }
  ASSERT_EQ(plan.moves.changed(), changed);
  if (without_living_slot(test) > 0) return;
  for (std::size_t layer = 0; layer < plan.balance.layers.size(); ++layer)
    ASSERT_LE(plan.balance.layers[layer].max_load, plan.before.layers[layer].max_load) << "layer " << layer;
  ASSERT_LE(plan.balance.duplicates, plan.before.duplicates);
  ASSERT_EQ(plan.worthwhile, changed > 0);
}

TEST(Incremental, KeepsItsPromisesInAnyCase) {
  Rng rng(11);
  int planned = 0;
  for (int round = 0; round < 1000; ++round) {
    const Case test = random_case(rng);
    MoveBudget budget{.slots = rng.below(20), .bytes_per_expert = 7};
    if (rng.below(3) == 0) budget.bytes = rng.below(100);
    const std::uint64_t must = without_living_slot(test);
    const auto plan = plan_incremental(test.counts, test.cluster, test.current, budget);
    if (!plan) {
      EXPECT_TRUE(must > std::min(budget.slots, budget.bytes / 7) || plan.error().message.contains("fewer living slots"))
          << plan.error().message;
      continue;
    }
    ++planned;
    expect_promises(test, budget, *plan);
    EXPECT_EQ(plan_incremental(test.counts, test.cluster, test.current, budget)->layout, plan->layout) << "deterministic";
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(planned, 500);
}

Case skewed(std::uint32_t layers = 2) {
  Case out;
  out.counts.geometry = {layers, 16};
  out.cluster = ExpertCluster::uniform(4, 2, 5);
  out.current = trivial_layout(out.counts.geometry, {5, 5, 5, 5});
  Rng rng(2);
  for (std::size_t i = 0; i < out.counts.geometry.size(); ++i) out.counts.count.push_back(std::round(1000 * std::exp(2 * rng.uniform())));
  return out;
}

TEST(Incremental, MoreMovesGiveMoreBalance) {
  const Case test = skewed();
  double last = balance_of(test.current, test.cluster, test.counts).balancedness;
  for (const std::uint64_t moves : {2U, 6U, 12U, 40U}) {
    const auto plan = plan_incremental(test.counts, test.cluster, test.current, {.slots = moves});
    ASSERT_TRUE(plan);
    EXPECT_GT(plan->balance.balancedness, last);
    EXPECT_EQ(plan->reasons.front().code, "improved");
    last = plan->balance.balancedness;
  }
  EXPECT_GT(last, 0.95);
}

TEST(Incremental, TheBudgetGoesToTheLayerThatNeedsIt) {
  Case test = skewed(40);
  for (std::uint32_t layer = 0; layer < 40; ++layer)
    for (std::uint32_t e = 0; e < 16; ++e)
      test.counts.count[test.counts.geometry.index({layer, e})] = layer == 7 ? std::exp(0.2 * e) : e < 4 ? 200 : 100;
  const auto plan = plan_incremental(test.counts, test.cluster, test.current, {.slots = 12});
  ASSERT_TRUE(plan);
  EXPECT_LT(plan->before.worst, 0.7);
  EXPECT_EQ(plan->before.worst_layer, 7U);
  EXPECT_GT(plan->balance.layers[7].balancedness(), 0.9);
}

TEST(Incremental, AnExpertHotterThanADeviceGetsMoreReplicas) {
  // Expert 0 has more than a device's share, alone among replicas that weigh nothing: no single step helps.
  Case test{{{1, 8}, {800, 200, 200, 200, 200, 1, 1, 1}, 0}, ExpertCluster::uniform(4, 1, 3), {{1, 8}, {3, 3, 3, 3}, {}}};
  test.current.expert_of_slot = {0, 5, 6, 1, 2, 7, 3, 4, 5, 6, 7, 5};
  const auto plan = plan_incremental(test.counts, test.cluster, test.current, {.slots = 6});
  ASSERT_TRUE(plan);
  EXPECT_GT(replica_counts(plan->layout)[0], 1U);
  EXPECT_GT(plan->balance.balancedness, 0.9);
}

TEST(Incremental, WithoutBudgetNothingChanges) {
  const Case test = skewed();
  const auto plan = plan_incremental(test.counts, test.cluster, test.current, {.slots = 0});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->layout, test.current);
  EXPECT_FALSE(plan->worthwhile);
  EXPECT_EQ(plan->reasons.front().code, "budget_spent");
}

TEST(Incremental, BytesLimitLikeSlots) {
  const Case test = skewed();
  const auto plan = plan_incremental(test.counts, test.cluster, test.current, {.bytes = 35, .bytes_per_expert = 10});
  ASSERT_TRUE(plan);
  EXPECT_LE(plan->moves.bytes, 35U);
  EXPECT_GT(plan->moves.changed(), 0U);
}

/// Experts 5 to 9 were on device 1 alone, which is gone.
Case after_a_loss(std::uint32_t experts) {
  Case out = skewed(1);
  out.counts.geometry.experts = out.current.geometry.experts = experts;
  out.counts.count.resize(experts);
  for (std::int32_t& expert : out.current.expert_of_slot) expert %= static_cast<std::int32_t>(experts);
  out.cluster.devices[1].alive = false;
  return out;
}

TEST(Incremental, ExpertsThatLostTheirDeviceComeFirst) {
  const Case test = after_a_loss(12);
  const std::uint64_t must = without_living_slot(test);
  ASSERT_GT(must, 0U);
  const auto plan = plan_incremental(test.counts, test.cluster, test.current, {.slots = must});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->reasons.front().code, "experts_restored");
  EXPECT_EQ(plan->moves.changed(), must);
  EXPECT_EQ(plan->moves.load, must) << "nobody living has them";
  EXPECT_TRUE(validate(plan->layout));
  EXPECT_TRUE(plan->worthwhile);
}

TEST(Incremental, NamesTheExpertsThatItCannotRestore) {
  const Case test = after_a_loss(12);
  const auto small = plan_incremental(test.counts, test.cluster, test.current, {.slots = without_living_slot(test) - 1});
  ASSERT_FALSE(small);
  EXPECT_TRUE(small.error().message.contains("layer 0 expert 8")) << small.error().message;
  const Case full = after_a_loss(16);
  const auto none = plan_incremental(full.counts, full.cluster, full.current, {});
  ASSERT_FALSE(none) << "15 slots, 16 experts";
  EXPECT_TRUE(none.error().message.contains("fewer living slots")) << none.error().message;
}

Worth worth_of(const StepCost& cost, double tokens) {
  return {.cost = &cost,
          .tokens_per_device = tokens,
          .steps = 1000,
          .bytes_per_ms_same_node = 4e8,
          .bytes_per_ms_cross_node = 5e7,
          .least_gain = 0};
}

TEST(Incremental, ImbalanceThatCostsNothingIsLeftAlone) {
  const Case test = skewed();
  const MoveBudget budget{.bytes_per_expert = 44000000};
  const auto plan = plan_incremental(test.counts, test.cluster, test.current, budget, worth_of(StepCost::deepseek_v3_decode(), 16));
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->worthwhile);
  EXPECT_EQ(plan->layout, test.current);
  EXPECT_EQ(plan->reasons.front().code, "imbalance_is_free");
  const auto prefill = plan_incremental(test.counts, test.cluster, test.current, budget, worth_of(StepCost::deepseek_v3_prefill(), 8192));
  ASSERT_TRUE(prefill);
  EXPECT_TRUE(prefill->worthwhile);
  EXPECT_EQ(prefill->reasons.front().code, "improved");
}

TEST(Incremental, MovesThatCostMoreThanTheySaveAreNotMade) {
  const Case test = skewed();
  const MoveBudget budget{.bytes_per_expert = 44000000};
  Worth worth = worth_of(StepCost::deepseek_v3_prefill(), 8192);
  const auto many = plan_incremental(test.counts, test.cluster, test.current, budget, worth);
  worth.steps = 1;
  const auto few = plan_incremental(test.counts, test.cluster, test.current, budget, worth);
  EXPECT_LT(few->moves.changed(), many->moves.changed());
  worth.steps = 0.01;
  const auto none = plan_incremental(test.counts, test.cluster, test.current, budget, worth);
  EXPECT_FALSE(none->worthwhile);
  EXPECT_EQ(none->reasons.front().code, "saving_below_move_cost");
  worth.steps = 1000;
  worth.least_gain = 0.9;
  EXPECT_EQ(plan_incremental(test.counts, test.cluster, test.current, budget, worth)->reasons.front().code, "within_tolerance");
}

TEST(Incremental, WhatItCannotUseIsAnErrorThatNamesThePlace) {
  Case test = skewed();
  test.current.expert_of_slot[23] = 16;
  const auto range = plan_incremental(test.counts, test.cluster, test.current, {});
  ASSERT_FALSE(range);
  EXPECT_TRUE(range.error().message.contains("layer 1 slot 3")) << range.error().message;
  test = skewed();
  test.current.expert_of_slot.pop_back();
  EXPECT_FALSE(plan_incremental(test.counts, test.cluster, test.current, {}));
  test = skewed();
  EXPECT_FALSE(plan_incremental(test.counts, test.cluster, test.current, {}, Worth{}));
  const ExpertCluster wide = ExpertCluster::uniform(2, 1, 40000);
  const auto large = plan_incremental({{1, 1}, {1}, 0}, wide, trivial_layout({1, 1}, {40000, 40000}), {});
  ASSERT_FALSE(large);
  EXPECT_TRUE(large.error().message.contains("65536")) << large.error().message;
}

}  // namespace
}  // namespace flexpert::placement
