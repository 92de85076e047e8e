#include "placement/batch_split.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "fleet/expert_layout.h"
#include "placement/ideal_split.h"

namespace flexpert::placement {
namespace {

struct Layer {
  std::uint32_t experts = 0;
  std::vector<std::int32_t> slots;
  ExpertCluster cluster;
};

Layer draw(Rng& rng, std::uint32_t devices, std::uint32_t experts, std::uint32_t slots, bool alike) {
  Layer out{experts, {}, {}};
  for (std::uint32_t d = 0; d < devices; ++d) {
    out.cluster.devices.push_back({0, 0, slots, alike ? 1.0 : 0.25 * static_cast<double>(1 + rng.below(8)), rng.below(10) != 0});
    for (std::uint32_t s = 0; s < slots; ++s)
      out.slots.push_back(rng.below(9) == 0 ? kEmptySlot : static_cast<std::int32_t>(rng.below(experts)));
  }
  return out;
}

std::vector<std::uint32_t> draw_rows(Rng& rng, std::uint32_t experts, std::uint32_t most) {
  std::vector<std::uint32_t> rows(experts);
  for (auto& count : rows) count = rng.below(3) == 0 ? 0 : static_cast<std::uint32_t>(rng.below(most));
  return rows;
}

double largest_load(const BatchSplit& split) {
  double most = 0;
  for (std::uint32_t d = 0; d < split.device_rows().size(); ++d) most = std::max(most, split.device_rows()[d] * split.slowness(d));
  return most;
}

/// Every way to hand out the rows, expert by expert and replica by replica.
double least_by_trying(const BatchSplit& split, const std::vector<std::uint32_t>& rows, std::vector<std::uint32_t>& device_rows,
                       std::uint32_t expert, std::uint32_t replica, std::uint32_t left) {
  if (expert == split.experts()) {
    double most = 0;
    for (std::uint32_t d = 0; d < device_rows.size(); ++d) most = std::max(most, device_rows[d] * split.slowness(d));
    return most;
  }
  const auto next_rows = expert + 1 < rows.size() ? rows[expert + 1] : 0;
  const auto replicas = split.replicas(expert);
  if (replica == replicas.size()) {
    if (left > 0 && !replicas.empty()) return 1e300;
    return least_by_trying(split, rows, device_rows, expert + 1, 0, next_rows);
  }
  double least = 1e300;
  for (std::uint32_t take = 0; take <= left; ++take) {
    device_rows[replicas[replica].device] += take;
    least = std::min(least, least_by_trying(split, rows, device_rows, expert, replica + 1, left - take));
    device_rows[replicas[replica].device] -= take;
  }
  return least;
}

TEST(BatchSplit, NoWayToHandOutTheRowsIsBetter) {
  Rng rng(21);
  for (int round = 0; round < 200; ++round) {
    const Layer layer = draw(rng, 2 + static_cast<std::uint32_t>(rng.below(3)), 4, 2, round % 2 == 0);
    BatchSplit split(layer.slots, layer.experts, layer.cluster);
    const auto rows = draw_rows(rng, layer.experts, 7);
    std::vector<std::uint32_t> device_rows(layer.cluster.devices.size(), 0);
    split.split(rows);
    EXPECT_DOUBLE_EQ(largest_load(split), least_by_trying(split, rows, device_rows, 0, 0, rows[0])) << round;
  }
}

/// A flow of whole rows reaches the ideal split rounded up.
TEST(BatchSplit, EqualsTheIdealSplitRoundedUpOnLikeDevices) {
  Rng rng(22);
  for (int round = 0; round < 150; ++round) {
    const auto devices = 2 + static_cast<std::uint32_t>(rng.below(20));
    const auto experts = 4 + static_cast<std::uint32_t>(rng.below(60));
    const Layer layer = draw(rng, devices, experts, 2 + static_cast<std::uint32_t>(rng.below(8)), true);
    BatchSplit split(layer.slots, experts, layer.cluster);
    const auto rows = draw_rows(rng, experts, 40);
    split.split(rows);
    const std::vector<double> loads(rows.begin(), rows.end());
    EXPECT_EQ(largest_load(split), std::ceil(ideal_max_load(loads, layer.slots, layer.cluster) - 1e-6)) << round;
  }
}

TEST(BatchSplit, SharesAddUpAndFollowTheReplicas) {
  Rng rng(23);
  for (int round = 0; round < 150; ++round) {
    const Layer layer = draw(rng, 2 + static_cast<std::uint32_t>(rng.below(12)), 30, 5, round % 2 == 0);
    BatchSplit split(layer.slots, layer.experts, layer.cluster);
    const auto rows = draw_rows(rng, layer.experts, 60);
    split.split(rows);
    std::vector<std::uint32_t> device_rows(layer.cluster.devices.size(), 0);
    for (std::uint32_t e = 0; e < layer.experts; ++e) {
      std::uint32_t sum = 0;
      for (std::uint32_t r = 0; r < split.replicas(e).size(); ++r) {
        const Replica replica = split.replicas(e)[r];
        EXPECT_EQ(layer.slots[replica.slot], static_cast<std::int32_t>(e));
        EXPECT_TRUE(layer.cluster.devices[replica.device].alive);
        sum += split.shares()[split.first(e) + r];
        device_rows[replica.device] += split.shares()[split.first(e) + r];
      }
      EXPECT_EQ(sum, split.replicas(e).empty() ? 0 : rows[e]);
    }
    EXPECT_TRUE(std::ranges::equal(device_rows, split.device_rows()));
  }
}

TEST(BatchSplit, WhatWasSplitBeforeDoesNotMatter) {
  Rng rng(24);
  const Layer layer = draw(rng, 8, 64, 9, true);
  BatchSplit kept(layer.slots, layer.experts, layer.cluster);
  for (int round = 0; round < 50; ++round) {
    const auto rows = draw_rows(rng, layer.experts, 30);
    BatchSplit fresh(layer.slots, layer.experts, layer.cluster);
    kept.split(rows);
    fresh.split(rows);
    EXPECT_TRUE(std::ranges::equal(kept.shares(), fresh.shares()));
  }
}

TEST(BatchSplit, FasterDevicesTakeMore) {
  auto cluster = ExpertCluster::uniform(2, 1, 1);
  cluster.devices[1].speed = 3;
  BatchSplit split(std::vector<std::int32_t>{0, 0}, 1, cluster);
  split.split(std::vector<std::uint32_t>{100});
  EXPECT_EQ(split.device_rows()[0], 25U);
  EXPECT_EQ(split.device_rows()[1], 75U);
}

}  // namespace
}  // namespace flexpert::placement
