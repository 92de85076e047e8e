// The stable header alone: what an embedder includes.
#include "placement/placement.h"

#include <gtest/gtest.h>

namespace flexpert::placement {
namespace {

PlanRequest request() {
  PlanRequest out;
  out.counts = {{2, 8}, {90, 10, 20, 10, 10, 30, 10, 20, 5, 5, 80, 5, 40, 5, 5, 5}, 50};
  out.cluster = ExpertCluster::uniform(4, 2, 3);
  return out;
}

TEST(PlacementHeader, PlansEvaluatesComparesAndExplains) {
  PlanRequest asked = request();
  const auto first = plan_experts(asked);
  ASSERT_TRUE(first) << first.error().message;
  const auto worth = evaluate_layout(first->layout, asked.cluster, asked.counts);
  ASSERT_TRUE(worth);
  EXPECT_DOUBLE_EQ(worth->balancedness, first->balance.balancedness);
  asked.current = first->layout;
  std::swap(asked.counts.count[0], asked.counts.count[3]);
  asked.mode = PlanMode::kIncremental;
  asked.max_moves = 2;
  const auto next = plan_experts(asked);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_LE(next->moves.changed(), 2U);
  EXPECT_GE(next->balance.balancedness, next->before.balancedness);
  const auto moves = compare_layouts(first->layout, next->layout, asked.cluster);
  ASSERT_TRUE(moves);
  EXPECT_EQ(moves->changed(), next->moves.changed());
  const auto why = explain_replicas(*next, asked.cluster, asked.counts, {0, 3});
  ASSERT_TRUE(why);
  EXPECT_FALSE(why->empty());
}

TEST(PlacementHeader, ExactModeHasTheMovesToo) {
  PlanRequest asked = request();
  asked.mode = PlanMode::kExact;
  asked.groups = 2;
  const auto first = plan_experts(asked);
  ASSERT_TRUE(first) << first.error().message;
  asked.current = first->layout;
  const auto again = plan_experts(asked);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->moves.changed(), 0U);
  EXPECT_EQ(again->moves.unchanged, 24U);
}

TEST(PlacementHeader, DispatchesEveryTokenToAReplica) {
  const PlanRequest asked = request();
  const auto plan = plan_experts(asked);
  ASSERT_TRUE(plan);
  auto dispatch = make_dispatch(plan->layout, 1, asked.cluster, DispatchPolicy::kLeastLoaded);
  ASSERT_TRUE(dispatch);
  const std::vector<std::uint8_t> experts = {2, 4, 2, 0, 4, 7};
  std::vector<std::uint32_t> slots(experts.size());
  dispatch->assign(experts, 2, {}, slots);
  for (std::size_t i = 0; i < slots.size(); ++i) EXPECT_EQ(plan->layout.layer(1)[slots[i]], experts[i]);
}

TEST(PlacementHeader, WhatIsWrongIsAnErrorAndNoCrash) {
  PlanRequest asked = request();
  asked.mode = PlanMode::kIncremental;
  EXPECT_FALSE(plan_experts(asked));
  asked = request();
  asked.counts.count.pop_back();
  EXPECT_FALSE(plan_experts(asked));
  asked = request();
  asked.cluster.devices.clear();
  EXPECT_FALSE(plan_experts(asked));
  asked = request();
  asked.mode = PlanMode::kExact;
  asked.cluster.devices[1].alive = false;
  EXPECT_FALSE(plan_experts(asked));
  const ExpertLayout layout = trivial_layout({2, 8}, {3, 3, 3, 3});
  EXPECT_FALSE(evaluate_layout(layout, ExpertCluster::uniform(3, 1, 4), request().counts));
  EXPECT_FALSE(compare_layouts(layout, trivial_layout({2, 8}, {6, 6}), request().cluster));
  EXPECT_FALSE(make_dispatch(layout, 2, request().cluster, DispatchPolicy::kStatic));
  EXPECT_FALSE(explain_replicas({}, request().cluster, request().counts, {0, 0}));
}

}  // namespace
}  // namespace flexpert::placement
