#include "placement/recovery.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "placement/balance.h"
#include "robust_problems.h"

namespace flexpert::placement {
namespace {

ExpertCluster without_host(ExpertCluster cluster, std::uint32_t host) {
  for (ExpertDevice& device : cluster.devices)
    if (device.host == host) device.alive = false;
  return cluster;
}

struct Fleet {
  RobustProblem problem;
  ExpertLayout layout;
  [[nodiscard]] const ExpertCounts& counts() const { return problem.cases[0].counts; }
};

Fleet planned(ExpertGeometry geometry, const ExpertCluster& cluster, std::uint64_t seed) {
  Fleet out{robust_problem(geometry, cluster, seed), {}};
  out.layout = plan_robust(out.problem)->plan.layout;
  return out;
}

TEST(Recovery, EveryExpertIsServedAgainWhateverHostGoes) {
  const ExpertCluster cluster = ExpertCluster::uniform(16, 8, 5);
  const Fleet fleet = planned({4, 64}, cluster, 1);
  for (std::uint32_t host = 0; host < 8; ++host) {
    const ExpertCluster left = without_host(cluster, host);
    const auto made = replan_after_loss(fleet.layout, left, fleet.counts());
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_TRUE(validate(made->layout));
    EXPECT_TRUE(made->unserved.empty());
    EXPECT_EQ(made->orphans, host_losses(fleet.layout, cluster, fleet.counts())[host].lost);
    const Balance balance = balance_of(made->layout, left, fleet.counts());
    EXPECT_EQ(balance.duplicates, 0U);
    EXPECT_NEAR(balance.balancedness, made->balancedness, 1e-9);
    EXPECT_GE(made->balancedness, 0.9);
  }
}

TEST(Recovery, WhatLivesStaysButForOrphansAndTheBudget) {
  const ExpertCluster cluster = ExpertCluster::uniform(16, 8, 5);
  const Fleet fleet = planned({4, 64}, cluster, 2);
  for (const std::uint32_t budget : {0U, 1U, 6U}) {
    const auto made = replan_after_loss(fleet.layout, without_host(cluster, 3), fleet.counts(), {budget});
    ASSERT_TRUE(made);
    EXPECT_LE(made->changed, made->orphans.size() + 4ULL * budget);
    EXPECT_EQ(made->changed_for_balance, made->changed - made->orphans.size());
  }
}

TEST(Recovery, MoreBudgetIsNeverWorse) {
  const ExpertCluster cluster = ExpertCluster::uniform(16, 8, 5);
  const Fleet fleet = planned({3, 64}, cluster, 6);
  double last = 0;
  for (std::uint32_t budget = 0; budget < 20; budget += 4) {
    const double now = replan_after_loss(fleet.layout, without_host(cluster, 0), fleet.counts(), {budget})->balancedness;
    EXPECT_GE(now, last - 1e-12) << budget;
    last = now;
  }
}

TEST(Recovery, TooFewSlotsLeaveTheLeastLoadedExpertsAndSaySo) {
  const ExpertCluster cluster = ExpertCluster::uniform(8, 8, 9);  // 63 slots after a loss
  const Fleet fleet = planned({3, 64}, cluster, 3);
  const auto made = replan_after_loss(fleet.layout, without_host(cluster, 5), fleet.counts());
  ASSERT_TRUE(made);
  ASSERT_EQ(made->unserved.size(), 3U);
  for (const ExpertSlot lost : made->unserved) {
    const auto loads = fleet.counts().layer(lost.layer);
    EXPECT_DOUBLE_EQ(loads[lost.expert], *std::min_element(loads.begin(), loads.end()));
  }
  EXPECT_GT(made->unserved_share, 0);
  EXPECT_EQ(made->reasons.back().code, "few_slots");
  EXPECT_NE(made->reasons.back().text.find("63 living slots a layer for 64 experts"), std::string::npos);
}

TEST(Recovery, NothingLostAndNoBudgetChangesNothing) {
  const ExpertCluster cluster = ExpertCluster::uniform(4, 2, 6);
  const Fleet fleet = planned({2, 16}, cluster, 4);
  const auto made = replan_after_loss(fleet.layout, cluster, fleet.counts(), {0});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->layout, fleet.layout);
  EXPECT_EQ(made->changed, 0U);
  EXPECT_DOUBLE_EQ(made->balancedness, made->balancedness_before);
}

TEST(Recovery, ASecondLossFollowsTheFirst) {
  const ExpertCluster cluster = ExpertCluster::uniform(12, 6, 8);
  const Fleet fleet = planned({2, 48}, cluster, 8);
  const auto first = replan_after_loss(fleet.layout, without_host(cluster, 0), fleet.counts());
  const auto second = replan_after_loss(first->layout, without_host(without_host(cluster, 0), 4), fleet.counts());
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->unserved.empty());
  EXPECT_TRUE(validate(second->layout));
}

TEST(Recovery, RandomLossesServeAsMuchAsThereIsRoomFor) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    const auto experts = static_cast<std::uint32_t>(1 + rng.below(30));
    ExpertCluster cluster;
    ExpertLayout layout{{2, experts}, {}, {}};
    for (std::uint32_t slots = 0; slots < experts + 3;) {
      cluster.devices.push_back({0, static_cast<std::uint32_t>(rng.below(4)), static_cast<std::uint32_t>(1 + rng.below(6)),
                                 0.5 + rng.uniform(), rng.below(4) != 0});
      layout.slots_of_device.push_back(cluster.devices.back().slots);
      slots += cluster.devices.back().slots;
    }
    for (std::uint32_t i = 0; i < 2 * layout.slots(); ++i)
      layout.expert_of_slot.push_back(static_cast<std::int32_t>(rng.below(experts + 1)) - 1);
    std::uint32_t living = 0;
    for (const ExpertDevice& device : cluster.devices) living += device.alive ? device.slots : 0;
    const auto made = replan_after_loss(layout, cluster, skewed_counts({2, experts}, seed));
    ASSERT_EQ(made.has_value(), living > 0) << "seed " << seed;
    if (!made) continue;
    EXPECT_EQ(made->unserved.size(), 2 * (experts - std::min(experts, living))) << "seed " << seed;
    const auto device_of = device_of_slots(layout.slots_of_device);
    for (std::size_t i = 0; i < made->layout.expert_of_slot.size(); ++i)
      if (!cluster.devices[device_of[i % device_of.size()]].alive) {
        ASSERT_EQ(made->layout.expert_of_slot[i], kEmptySlot);
      }
  }
}

TEST(Recovery, SaysWhatDoesNotFit) {
  const ExpertCluster cluster = ExpertCluster::uniform(2, 2, 2);
  const ExpertLayout layout{{1, 3}, {2, 2}, {0, 1, 2, 0}};
  const ExpertCounts counts{{1, 3}, {1, 2, 3}, 0};
  EXPECT_NE(replan_after_loss(layout, without_host(without_host(cluster, 0), 1), counts).error().message.find("no living slot"),
            std::string::npos);
  EXPECT_NE(replan_after_loss(layout, ExpertCluster::uniform(2, 2, 3), counts).error().message.find("device 0 has 2 slots"),
            std::string::npos);
  EXPECT_NE(replan_after_loss(layout, cluster, {{1, 4}, {1, 2, 3, 4}, 0}).error().message.find("3 experts, the counts 1 x 4"),
            std::string::npos);
}

}  // namespace
}  // namespace flexpert::placement
