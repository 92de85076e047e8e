#include "placement/affinity.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "placement/balance.h"
#include "placement/eplb.h"
#include "robust_problems.h"

namespace flexpert::placement {
namespace {

/// Groups whose loads differ, as those of DeepSeek-V3 do.
ExpertCounts uneven_groups(std::uint64_t seed) {
  ExpertCounts out = skewed_counts({2, 64}, seed, 0.4);
  const std::vector<double> factor = {3, 2.5, 1, 0.8, 0.7, 0.6, 0.5, 0.4};
  for (std::size_t i = 0; i < out.count.size(); ++i) out.count[i] *= factor[i % 64 / 8];
  return out;
}

RobustProblem semi(double weight) {
  RobustProblem problem;
  problem.cases.push_back({"window", uneven_groups(4), 1});
  problem.cluster = ExpertCluster::uniform(16, 4, 5);
  problem.spread_hosts = false;
  problem.affinity = Affinity{8, weight};
  return problem;
}

TEST(NodeTraffic, AWholeGroupOnANodeCrossesNothing) {
  const ExpertLayout layout{{1, 4}, {2, 2}, {0, 1, 2, 3}};
  const auto traffic = node_traffic(layout, ExpertCluster::uniform(2, 2, 2), {{1, 4}, {1, 2, 3, 4}, 0}, 2);
  EXPECT_DOUBLE_EQ(traffic.cross_node_share, 0);
  EXPECT_EQ(traffic.home, (std::vector<std::uint32_t>{0, 1}));
}

TEST(NodeTraffic, CountsTheLoadServedAwayFromHome) {
  // Group {0, 1}: expert 0 with load 6 half on each node, 1 with load 2 on node 0; group {2, 3}: 2 on node 0, 3 on node 1.
  const ExpertLayout layout{{1, 4}, {3, 2}, {0, 1, 2, 0, 3}};
  ExpertCluster cluster;
  cluster.devices = {{0, 0, 3, 1, true}, {1, 1, 2, 1, true}};
  const auto traffic = node_traffic(layout, cluster, {{1, 4}, {6, 2, 1, 3}, 0}, 2);
  EXPECT_EQ(traffic.home, (std::vector<std::uint32_t>{0, 1}));
  EXPECT_DOUBLE_EQ(traffic.cross_node_share, (3.0 + 1.0) / 12);
}

TEST(AssignHomes, EvensOutTheNodesWithinTheirRoom) {
  const ExpertCluster cluster = ExpertCluster::uniform(4, 2, 10);
  const std::vector<double> load = {10, 9, 2, 1};
  const auto home = assign_homes(load, 8, cluster);
  EXPECT_EQ(std::count(home.begin(), home.end(), 0U), 2);
  EXPECT_NE(home[0], home[1]);
  EXPECT_EQ(home[0], home[3]);
}

TEST(AssignHomes, GivesADeadNodeNone) {
  ExpertCluster cluster = ExpertCluster::uniform(4, 4, 10);
  cluster.devices[2].alive = false;
  const std::vector<double> load = {4, 3, 2, 1};
  const auto home = assign_homes(load, 4, cluster);
  EXPECT_EQ(std::count(home.begin(), home.end(), 2U), 0);
}

TEST(SemiHierarchical, AWeightTradesTrafficAgainstBalance) {
  double share = 1;
  double balancedness = 1;
  for (const double weight : {0.0, 0.3, 100.0}) {
    const auto made = plan_robust(semi(weight));
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_LT(made->cross_node_share, share) << weight;
    EXPECT_LE(made->plan.balance.balancedness, balancedness + 1e-3) << weight;
    EXPECT_EQ(made->plan.balance.duplicates, 0U);
    EXPECT_EQ(made->plan.mode, "semi_hierarchical");
    share = made->cross_node_share;
    balancedness = made->plan.balance.balancedness;
  }
  EXPECT_DOUBLE_EQ(share, 0);  // a wall
}

TEST(SemiHierarchical, IsFarEvenerThanTheStrictHierarchyForLittleTraffic) {
  const RobustProblem problem = semi(0.3);
  const auto strict = plan_eplb(problem.cases[0].counts, {80, 8, 4, 16});
  const auto global = plan_eplb(problem.cases[0].counts, {80, 1, 1, 16});
  ASSERT_TRUE(strict && global);
  const auto made = plan_robust(problem);
  ASSERT_TRUE(made);
  EXPECT_GE(made->plan.balance.balancedness, 0.95);
  EXPECT_LT(balance_of(*strict, problem.cluster, problem.cases[0].counts).balancedness, 0.9);
  EXPECT_LT(made->cross_node_share, 0.5 * node_traffic(*global, problem.cluster, problem.cases[0].counts, 8).cross_node_share);
}

TEST(SemiHierarchical, SpreadingOverHostsStillKeepsEveryReplicatedExpertServed) {
  RobustProblem problem = semi(0.3);
  problem.spread_hosts = true;
  const auto made = plan_robust(problem);
  ASSERT_TRUE(made);
  for (const HostLoss& loss : host_losses(made->plan.layout, problem.cluster, problem.cases[0].counts))
    EXPECT_TRUE(loss.lost_with_redundancy.empty());
}

}  // namespace
}  // namespace flexpert::placement
