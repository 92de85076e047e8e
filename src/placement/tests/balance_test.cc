#include "placement/balance.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace flexpert::placement {
namespace {

ExpertLayout layout_of(ExpertGeometry geometry, std::vector<std::uint32_t> slots, std::vector<std::int32_t> experts) {
  return {geometry, std::move(slots), std::move(experts)};
}

TEST(Balance, IsMeanOverMaxOfDeviceLoadAveragedOverLayers) {
  // Layer 0: devices get 6 + 2 and 4 + 4; layer 1: 8 + 1 and 2 + 1.
  const ExpertCounts counts{{2, 4}, {6, 2, 4, 4, 8, 1, 2, 1}, 0};
  const ExpertLayout layout = layout_of({2, 4}, {2, 2}, {0, 1, 2, 3, 0, 1, 2, 3});
  const Balance balance = balance_of(layout, ExpertCluster::uniform(2, 1, 2), counts);
  EXPECT_DOUBLE_EQ(balance.layers[0].balancedness(), 1);
  EXPECT_DOUBLE_EQ(balance.layers[1].mean_load, 6);
  EXPECT_DOUBLE_EQ(balance.layers[1].max_load, 9);
  EXPECT_EQ(balance.layers[1].busiest, 0U);
  EXPECT_DOUBLE_EQ(balance.balancedness, (1 + 6.0 / 9) / 2);
  EXPECT_DOUBLE_EQ(balance.worst, 6.0 / 9);
  EXPECT_EQ(balance.worst_layer, 1U);
  EXPECT_NEAR(balance.layers[1].lower_bound, 9, 1e-6) << "8 has to share its device with at least a 1";
  EXPECT_NEAR(balance.gap, 0, 1e-6);
}

TEST(Balance, SplitsReplicasEvenlyAndCountsDuplicates) {
  const ExpertCounts counts{{1, 2}, {9, 3}, 0};
  const Balance balance = balance_of(layout_of({1, 2}, {2, 2}, {0, 0, 0, 1}), ExpertCluster::uniform(2, 1, 2), counts);
  EXPECT_DOUBLE_EQ(balance.layers[0].max_load, 6);
  EXPECT_EQ(balance.duplicates, 1U);
  EXPECT_EQ(balance.layers[0].duplicates, 1U);
}

TEST(Balance, LeavesLayersWithoutLoadOut) {
  const ExpertCounts counts{{2, 2}, {0, 0, 3, 1}, 0};
  const Balance balance = balance_of(layout_of({2, 2}, {1, 1}, {0, 1, 0, 1}), ExpertCluster::uniform(2, 1, 1), counts);
  EXPECT_DOUBLE_EQ(balance.layers[0].balancedness(), 1);
  EXPECT_DOUBLE_EQ(balance.balancedness, 2.0 / 3);
  EXPECT_EQ(balance.worst_layer, 1U);
}

TEST(Balance, CountsSpeedsAndEmptySlots) {
  ExpertCluster cluster = ExpertCluster::uniform(2, 1, 2);
  cluster.devices[0].speed = 2;
  const ExpertCounts counts{{1, 2}, {8, 4}, 0};
  const Balance balance = balance_of(layout_of({1, 2}, {2, 2}, {0, kEmptySlot, kEmptySlot, 1}), cluster, counts);
  EXPECT_DOUBLE_EQ(balance.layers[0].mean_load, 4);
  EXPECT_DOUBLE_EQ(balance.layers[0].max_load, 4);
  EXPECT_DOUBLE_EQ(balance.balancedness, 1);
}

TEST(Balance, SaysWhatDoesNotMatch) {
  const ExpertCounts counts{{1, 2}, {1, 1}, 0};
  const ExpertLayout layout = layout_of({1, 2}, {1, 1}, {0, 1});
  EXPECT_TRUE(check_match(layout, ExpertCluster::uniform(2, 1, 1), counts));
  EXPECT_EQ(check_match(layout, ExpertCluster::uniform(2, 1, 2), counts).error().message,
            "device 0 has 1 slots in the layout, 2 in the cluster");
  EXPECT_EQ(check_match(layout, ExpertCluster::uniform(1, 1, 2), counts).error().message, "the layout has 2 devices, the cluster 1");
  EXPECT_EQ(check_match(layout, ExpertCluster::uniform(2, 1, 1), {{1, 3}, {1, 1, 1}, 0}).error().message,
            "the layout has 1 layers x 2 experts, the counts 1 x 3");
}

TEST(Balance, CountsWhatLivingDevicesServe) {
  ExpertCluster cluster = ExpertCluster::uniform(3, 3, 2);
  cluster.devices[2].alive = false;
  // Expert 0 is left with one replica, expert 3 with none.
  const ExpertLayout layout = layout_of({1, 4}, {2, 2, 2}, {0, 1, 2, kEmptySlot, 0, 3});
  const Balance balance = balance_of(layout, cluster, {{1, 4}, {6, 2, 4, 90}, 0});
  EXPECT_DOUBLE_EQ(balance.layers[0].max_load, 8);
  EXPECT_DOUBLE_EQ(balance.layers[0].mean_load, 6);
  EXPECT_DOUBLE_EQ(balance.balancedness, 0.75);
  EXPECT_LE(balance.layers[0].lower_bound, 8);
  EXPECT_LE(balance.balancedness, balance.bound);
}

TEST(Balance, NextToNothingIsNoLoad) {
  const ExpertCounts counts{{1, 2}, {5e-324, 1e-323}, 0};
  const Balance balance = balance_of(layout_of({1, 2}, {1, 1, 1}, {0, 1, 1}), ExpertCluster::uniform(3, 1, 1), counts);
  EXPECT_EQ(balance.balancedness, 1);
  EXPECT_EQ(balance.gap, 0);
  EXPECT_EQ(balance.layers[0].balancedness(), 1);
}

TEST(Balance, NumbersThatNoSumCouldHoldAreErrors) {
  ExpertCounts counts{{1, 2}, {1, 1e300}, 0};
  EXPECT_NE(validate(counts).error().message.find("layer 0 expert 1"), std::string::npos);
  counts.count[1] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(validate(counts));
  counts.count[1] = kMostCount;
  EXPECT_TRUE(validate(counts));
  ExpertCluster cluster = ExpertCluster::uniform(2, 1, 1);
  cluster.devices[1].speed = 1e-300;
  EXPECT_NE(validate(cluster).error().message.find("device 1"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::placement
