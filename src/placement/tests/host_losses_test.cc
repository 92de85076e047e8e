#include <gtest/gtest.h>

#include "placement/robust.h"

namespace flexpert::placement {
namespace {

TEST(HostLosses, NamesWhatGoesWithEachHostAndWhatHadRedundancy) {
  // Hosts 0 and 1 of two devices. Expert 0 twice on host 0, 1 on both hosts, 2 on host 0, 3 on host 1.
  const ExpertLayout layout{{1, 4}, {2, 1, 1, 2}, {0, 1, 0, 1, 3, 2}};
  ExpertCluster cluster;
  cluster.devices = {{0, 0, 2, 1, true}, {0, 0, 1, 1, true}, {1, 1, 1, 1, true}, {1, 1, 2, 1, true}};
  const auto losses = host_losses(layout, cluster, {{1, 4}, {8, 4, 2, 2}, 0});
  ASSERT_EQ(losses.size(), 2U);
  EXPECT_EQ(losses[0].lost, (std::vector<ExpertSlot>{{0, 0}}));
  EXPECT_EQ(losses[0].lost_with_redundancy, losses[0].lost);
  EXPECT_DOUBLE_EQ(losses[0].balancedness, 1.0);  // 4 on one device, 2 + 2 on the other
  EXPECT_EQ(losses[1].lost, (std::vector<ExpertSlot>{{0, 2}, {0, 3}}));
  EXPECT_TRUE(losses[1].lost_with_redundancy.empty());
  EXPECT_DOUBLE_EQ(losses[1].balancedness, 6.0 / 8.0);  // 4 + 4, and 4
}

TEST(HostLosses, ADeadDevicesReplicasDoNotCount) {
  const ExpertLayout layout{{1, 2}, {1, 1, 1}, {0, 0, 1}};
  ExpertCluster cluster;
  cluster.devices = {{0, 0, 1, 1, true}, {1, 1, 1, 1, false}, {2, 2, 1, 1, true}};
  const auto losses = host_losses(layout, cluster, {{1, 2}, {1, 1}, 0});
  EXPECT_EQ(losses[0].lost, (std::vector<ExpertSlot>{{0, 0}}));
  EXPECT_TRUE(losses[0].lost_with_redundancy.empty());
}

TEST(HostLosses, HostsWithoutDevicesAreNone) {
  ExpertCluster cluster = ExpertCluster::uniform(2, 2, 1);
  cluster.devices[1].host = 65535;
  const auto losses = host_losses({{1, 2}, {1, 1}, {0, 1}}, cluster, {{1, 2}, {1, 1}, 0});
  ASSERT_EQ(losses.size(), 2U);
  EXPECT_EQ(losses[1].host, 65535U);
  EXPECT_EQ(losses[1].lost, (std::vector<ExpertSlot>{{0, 1}}));
}

TEST(HostLosses, NextToNothingIsNoLoad) {
  const ExpertLayout layout{{1, 2}, {1, 1, 1}, {0, 1, 0}};
  for (const HostLoss& loss : host_losses(layout, ExpertCluster::uniform(3, 3, 1), {{1, 2}, {5e-324, 1e-323}, 0}))
    EXPECT_LE(loss.balancedness, 1);
}

}  // namespace
}  // namespace flexpert::placement
