#include "placement/robust.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <gtest/gtest.h>

#include "placement/balance.h"
#include "placement/moves.h"
#include "robust_problems.h"

namespace flexpert::placement {
namespace {

/// Every expert placed, dead devices empty, no two replicas of an expert on one device.
void expect_sound(const RobustProblem& problem, const RobustPlan& made) {
  ASSERT_TRUE(validate(made.plan.layout)) << validate(made.plan.layout).error().message;
  const auto device_of = device_of_slots(made.plan.layout.slots_of_device);
  for (std::uint32_t l = 0; l < made.plan.layout.geometry.layers; ++l)
    for (std::size_t slot = 0; slot < device_of.size(); ++slot)
      if (!problem.cluster.devices[device_of[slot]].alive) {
        ASSERT_EQ(made.plan.layout.layer(l)[slot], kEmptySlot) << "layer " << l << " slot " << slot;
      }
  EXPECT_EQ(made.plan.balance.duplicates, 0U);
}

TEST(RobustPlan, OneWindowOnLikeDevicesIsNearlyEven) {
  const RobustProblem problem = robust_problem({4, 64}, ExpertCluster::uniform(16, 4, 5), 1);
  const auto made = plan_robust(problem);
  ASSERT_TRUE(made) << made.error().message;
  expect_sound(problem, *made);
  EXPECT_GE(made->plan.balance.worst, 0.98);
  EXPECT_EQ(made->plan.mode, "robust");
}

TEST(RobustPlan, SeveralWindowsAreServedBetterThanByThePlanOfOne) {
  const RobustProblem both = robust_problem({3, 48}, ExpertCluster::uniform(8, 2, 8), 3, 3);
  RobustProblem first = both;
  first.cases.resize(1);
  const auto of_all = plan_robust(both);
  const auto of_first = plan_robust(first);
  ASSERT_TRUE(of_all && of_first);
  double all = 0;
  double one = 0;
  for (std::size_t c = 0; c < both.cases.size(); ++c) {
    all += of_all->by_case[c].balancedness;
    one += balance_of(of_first->plan.layout, both.cluster, both.cases[c].counts).balancedness;
  }
  EXPECT_GT(all, one + 0.1);
}

TEST(RobustPlan, TheWorstCaseIsBetterUnderTheWorstObjective) {
  RobustProblem problem = robust_problem({3, 48}, ExpertCluster::uniform(8, 2, 8), 11, 3);
  problem.cases[2].weight = 0.01;
  const auto mean = plan_robust(problem);
  problem.objective = CaseObjective::kWorst;
  const auto worst = plan_robust(problem);
  ASSERT_TRUE(mean && worst);
  const auto lowest = [](const RobustPlan& made) {
    return std::min_element(made.by_case.begin(), made.by_case.end(),
                            [](const Balance& a, const Balance& b) { return a.balancedness < b.balancedness; })
        ->balancedness;
  };
  EXPECT_GT(lowest(*worst), lowest(*mean) + 0.02);
}

TEST(RobustPlan, AFasterDeviceGetsMoreOfTheLoad) {
  RobustProblem problem = robust_problem({3, 40}, ExpertCluster::uniform(8, 2, 6), 5);
  for (std::size_t d = 0; d < 4; ++d) problem.cluster.devices[d].speed = 2;
  const auto made = plan_robust(problem);
  ASSERT_TRUE(made);
  expect_sound(problem, *made);
  EXPECT_GE(made->plan.balance.worst, 0.95);
}

TEST(RobustPlan, ADeviceWithMoreMemoryHoldsMoreExperts) {
  RobustProblem problem = robust_problem({2, 40}, ExpertCluster::uniform(8, 2, 4), 5);
  problem.cluster.devices[3].slots = 20;
  const auto made = plan_robust(problem);
  ASSERT_TRUE(made);
  expect_sound(problem, *made);
  EXPECT_EQ(made->plan.layout.slots(), 48U);
  EXPECT_GE(made->plan.balance.worst, 0.8);
}

TEST(RobustPlan, DeadRanksStayEmptyAndTheRestServesAll) {
  RobustProblem problem = robust_problem({3, 32}, ExpertCluster::uniform(8, 4, 6), 9);
  problem.cluster.devices[0].alive = false;
  problem.cluster.devices[5].alive = false;
  const auto made = plan_robust(problem);
  ASSERT_TRUE(made);
  expect_sound(problem, *made);
  EXPECT_GE(made->plan.balance.worst, 0.95);
}

TEST(RobustPlan, AnyHostMayGoAndWhatHasRedundancyIsServed) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    Rng rng(seed);
    const auto hosts = static_cast<std::uint32_t>(2 + rng.below(5));
    const auto per_host = static_cast<std::uint32_t>(1 + rng.below(3));
    const auto slots = static_cast<std::uint32_t>(3 + rng.below(4));
    const std::uint32_t living = hosts * per_host * slots;
    const auto experts = static_cast<std::uint32_t>(living / 2 + rng.below(living / 2));
    const RobustProblem problem = robust_problem({2, experts}, ExpertCluster::uniform(hosts * per_host, hosts, slots), seed);
    const auto made = plan_robust(problem);
    ASSERT_TRUE(made) << made.error().message;
    expect_sound(problem, *made);
    for (const HostLoss& loss : host_losses(made->plan.layout, problem.cluster, problem.cases[0].counts))
      EXPECT_TRUE(loss.lost_with_redundancy.empty()) << "seed " << seed << " host " << loss.host;
  }
}

TEST(RobustPlan, WhatIsGoodIsKept) {
  RobustProblem problem = robust_problem({4, 48}, ExpertCluster::uniform(8, 2, 8), 21);
  const auto first = plan_robust(problem);
  ASSERT_TRUE(first);
  problem.current = first->plan.layout;
  const auto again = plan_robust(problem);
  ASSERT_TRUE(again);
  EXPECT_LE(again->plan.moves.changed(), 4U);
  EXPECT_GE(again->plan.balance.balancedness, first->plan.balance.balancedness - 1e-9);
}

TEST(RobustPlan, ALayoutInForceSavesMoves) {
  RobustProblem problem = robust_problem({4, 48}, ExpertCluster::uniform(8, 2, 8), 21);
  const auto first = plan_robust(problem);
  ASSERT_TRUE(first);
  for (std::size_t i = 0; i < problem.cases[0].counts.count.size(); ++i)
    problem.cases[0].counts.count[i] *= 1 + 0.2 * static_cast<double>(i % 3);
  problem.current = first->plan.layout;
  const auto moved = plan_robust(problem);
  ASSERT_TRUE(moved);
  expect_sound(problem, *moved);
  EXPECT_GT(moved->plan.balance.balancedness, moved->plan.before.balancedness);
  EXPECT_LT(moved->plan.moves.changed(), 4 * 64 / 2);
}

TEST(RobustPlan, TheSameProblemGivesTheSamePlan) {
  const RobustProblem problem = robust_problem({2, 40}, ExpertCluster::uniform(8, 4, 6), 2, 2);
  EXPECT_EQ(plan_robust(problem)->plan.layout, plan_robust(problem)->plan.layout);
}

TEST(RobustPlan, ALayerWithoutLoadIsPlacedAllTheSame) {
  RobustProblem problem = robust_problem({3, 30}, ExpertCluster::uniform(6, 3, 7), 2, 2);
  for (LoadCase& load : problem.cases) std::fill_n(load.counts.count.begin() + 30, 30, 0.0);
  problem.cases[0].counts.count.assign(90, 0.0);
  const auto made = plan_robust(problem);
  ASSERT_TRUE(made);
  expect_sound(problem, *made);
  EXPECT_DOUBLE_EQ(made->by_case[0].balancedness, 1.0);
}

TEST(RobustPlan, RandomClustersGetSoundPlans) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Rng rng(seed);
    const auto experts = static_cast<std::uint32_t>(1 + rng.below(40));
    RobustProblem problem = robust_problem({2, experts}, {}, seed, 1 + rng.below(3));
    std::uint32_t living = 0;
    while (living < experts) {
      ExpertDevice device{static_cast<std::uint32_t>(rng.below(4)), static_cast<std::uint32_t>(rng.below(6)),
                          static_cast<std::uint32_t>(rng.below(9)), 0.5 + rng.uniform(), rng.below(5) != 0};
      problem.cluster.devices.push_back(device);
      if (device.alive) living += device.slots;
    }
    problem.objective = rng.below(2) == 0 ? CaseObjective::kWorst : CaseObjective::kWeightedMean;
    problem.spread_hosts = rng.below(2) == 0;
    if (experts % 4 == 0) problem.affinity = Affinity{4, rng.uniform()};
    const auto made = plan_robust(problem);
    ASSERT_TRUE(made) << "seed " << seed << ": " << made.error().message;
    ASSERT_TRUE(validate(made->plan.layout)) << "seed " << seed;
    const auto device_of = device_of_slots(made->plan.layout.slots_of_device);
    for (std::size_t i = 0; i < made->plan.layout.expert_of_slot.size(); ++i)
      if (!problem.cluster.devices[device_of[i % device_of.size()]].alive) {
        ASSERT_EQ(made->plan.layout.expert_of_slot[i], kEmptySlot) << "seed " << seed;
      }
  }
}

TEST(RobustPlan, AfterARandomLossTheLayoutInForceIsCarriedOn) {
  std::uint64_t changed = 0;
  std::uint64_t changed_afresh = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Rng rng(seed);
    RobustProblem problem = robust_problem({2, 24}, ExpertCluster::uniform(8, 4, 5), seed, 1 + rng.below(2));
    if (rng.below(2) == 0) problem.affinity = Affinity{4, 0.2};
    const auto first = plan_robust(problem);
    ASSERT_TRUE(first);
    problem.current = first->plan.layout;
    problem.cluster.devices[rng.below(8)].alive = false;
    problem.cluster.devices[rng.below(8)].alive = false;
    const auto made = plan_robust(problem);
    ASSERT_TRUE(made) << made.error().message;
    expect_sound(problem, *made);
    const auto living =
        std::count_if(problem.cluster.devices.begin(), problem.cluster.devices.end(), [](const ExpertDevice& d) { return d.alive; });
    EXPECT_EQ(made->plan.moves.changed() + made->plan.moves.unchanged, static_cast<std::uint64_t>(living) * 10) << "seed " << seed;
    EXPECT_EQ(made->plan.before.layers.size(), 2U);
    changed += made->plan.moves.changed();
    const ExpertLayout in_force = *std::exchange(problem.current, std::nullopt);
    changed_afresh += moves_between(in_force, plan_robust(problem)->plan.layout, problem.cluster).changed();
  }
  EXPECT_LT(changed, changed_afresh * 3 / 4);
}

TEST(RobustPlan, WhatCannotBePlannedIsNamed) {
  const RobustProblem good = robust_problem({2, 16}, ExpertCluster::uniform(4, 2, 5), 1);
  const auto message = [&](auto&& change) {
    RobustProblem problem = good;
    change(problem);
    const auto made = plan_robust(problem);
    return made ? std::string("planned") : made.error().message;
  };
  EXPECT_EQ(message([](RobustProblem& p) { p.cases.clear(); }), "robust plan: needs at least one load case");
  EXPECT_NE(message([](RobustProblem& p) { p.cases[0].counts.count[17] = -1; }).find("load case \"window 0\""), std::string::npos);
  EXPECT_NE(message([](RobustProblem& p) { p.cases[0].weight = 0; }).find("weight must be a number over 0"), std::string::npos);
  EXPECT_NE(
      message([](RobustProblem& p) { p.cluster.devices[1].alive = false; }).find("fewer living slots than experts: 15 slots, 16 experts"),
      std::string::npos);
  EXPECT_NE(message([](RobustProblem& p) { p.affinity = Affinity{3, 1}; }).find("groups must divide the experts: 3 groups, 16 experts"),
            std::string::npos);
  EXPECT_NE(message([](RobustProblem& p) { p.current = trivial_layout({2, 16}, {5, 5, 5, 4}); }).find("device 3 has 4 slots"),
            std::string::npos);
  EXPECT_NE(message([](RobustProblem& p) {
              p.current = trivial_layout({2, 16}, {5, 5, 5, 5});
              p.current->expert_of_slot[22] = 99;
            }).find("layer 1 slot 2: no expert 99"),
            std::string::npos);
}

TEST(RobustPlan, ReplicasWithoutADeviceOfTheirOwnGiveWay) {
  RobustProblem problem;
  problem.cases = {{"all", {{1, 2}, {5, 3}, 0}, 1}};
  problem.cluster = ExpertCluster::uniform(2, 2, 4);
  problem.current = ExpertLayout{{1, 2}, {4, 4}, {0, 0, 0, 1, 0, 1, 1, 1}};
  const auto made = plan_robust(problem);
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->plan.balance.duplicates, 0U);
  EXPECT_TRUE(validate(made->plan.layout).has_value());
}

}  // namespace
}  // namespace flexpert::placement
