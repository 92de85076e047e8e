#include "placement/layer_packing.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {
namespace {

std::vector<double> drawn_loads(Rng& rng, std::uint32_t experts) {
  std::vector<double> out(experts);
  for (double& load : out) load = std::round(100 * std::exp(3 * rng.uniform()));
  return out;
}

/// The largest device load of slots, by definition.
double max_load(const std::vector<double>& loads, const ExpertCluster& cluster, const std::vector<std::int32_t>& slots) {
  std::size_t first = 0;
  double most = 0;
  for (const ExpertDevice& device : cluster.devices) {
    double load = 0;
    for (std::size_t s = first; s < first + device.slots; ++s)
      if (slots[s] != kEmptySlot)
        load += loads[static_cast<std::size_t>(slots[s])] / static_cast<double>(std::count(slots.begin(), slots.end(), slots[s]));
    most = std::max(most, load / device.speed);
    first += device.slots;
  }
  return most;
}

bool has_duplicates(const ExpertCluster& cluster, const std::vector<std::int32_t>& slots) {
  std::size_t first = 0;
  for (const ExpertDevice& device : cluster.devices) {
    std::set<std::int32_t> seen;
    for (std::size_t s = first; s < first + device.slots; ++s)
      if (slots[s] != kEmptySlot && !seen.insert(slots[s]).second) return true;
    first += device.slots;
  }
  return false;
}

std::size_t filled(const std::vector<std::int32_t>& slots) {
  return slots.size() - static_cast<std::size_t>(std::count(slots.begin(), slots.end(), kEmptySlot));
}

TEST(LayerPacking, PlacesAsManyReplicasAsAskedFor) {
  Rng rng(41);
  for (int round = 0; round < 60; ++round) {
    const auto devices = static_cast<std::uint32_t>(1 + rng.below(10));
    const auto experts = static_cast<std::uint32_t>(1 + rng.below(30));
    const auto cluster = ExpertCluster::uniform(devices, 1, (experts + devices - 1) / devices + static_cast<std::uint32_t>(rng.below(4)));
    LayerPacking packing(cluster, experts);
    const auto replicas = static_cast<std::uint32_t>(experts + rng.below(packing.room() - experts + 1));
    const std::vector<double> loads = drawn_loads(rng, experts);
    std::vector<std::int32_t> slots(cluster.slots());
    const double load = packing.plan(loads, replicas, slots);
    EXPECT_EQ(filled(slots), replicas);
    EXPECT_FALSE(has_duplicates(cluster, slots));
    EXPECT_NEAR(load, max_load(loads, cluster, slots), 1e-6);
    EXPECT_LE(packing.bound(), load * (1 + 1e-9));
  }
}

TEST(LayerPacking, ImprovesWithoutAddingReplicas) {
  Rng rng(42);
  for (int round = 0; round < 60; ++round) {
    const auto cluster = ExpertCluster::uniform(6, 1, 6);
    const std::vector<double> loads = drawn_loads(rng, 30);
    std::vector<std::int32_t> slots(36, kEmptySlot);
    std::iota(slots.begin(), slots.begin() + 30, 0);
    slots[30] = static_cast<std::int32_t>(rng.below(24));
    for (int i = 35; i > 0; --i) std::swap(slots[static_cast<std::size_t>(i)], slots[rng.below(static_cast<std::uint64_t>(i) + 1)]);
    const bool twice = has_duplicates(cluster, slots);
    const double before = max_load(loads, cluster, slots);
    LayerPacking packing(cluster, 30);
    const double after = packing.improve(loads, slots);
    EXPECT_EQ(filled(slots), 31U);
    EXPECT_FALSE(has_duplicates(cluster, slots));
    EXPECT_NEAR(after, max_load(loads, cluster, slots), 1e-6);
    if (!twice) {
      EXPECT_LE(after, before * (1 + 1e-12));
    }
    EXPECT_LT(after, 1.05 * packing.bound());
  }
}

TEST(LayerPacking, SeparatesReplicasOfOneDevice) {
  const auto cluster = ExpertCluster::uniform(2, 1, 3);
  std::vector<std::int32_t> slots{0, 0, 1, 2, 3, 1};
  LayerPacking packing(cluster, 4);
  packing.improve(std::vector<double>{8, 4, 2, 2}, slots);
  EXPECT_FALSE(has_duplicates(cluster, slots));
  EXPECT_EQ(filled(slots), 6U);
}

TEST(LayerPacking, ReconsidersCountsWhereNoExchangeHelps) {
  // Expert 0 alone has two replicas; one of expert 1 instead is better, and no exchange leads there.
  const auto cluster = ExpertCluster::uniform(3, 1, 1);
  std::vector<std::int32_t> slots{0, 0, 1};
  LayerPacking packing(cluster, 2);
  EXPECT_DOUBLE_EQ(packing.improve(std::vector<double>{4, 10}, slots), 5);
  EXPECT_EQ(std::count(slots.begin(), slots.end(), 1), 2);
}

TEST(LayerPacking, CanBeUsedAgainForOtherLoads) {
  Rng rng(43);
  const auto cluster = ExpertCluster::uniform(8, 1, 5);
  LayerPacking used(cluster, 32);
  std::vector<std::int32_t> first(40);
  std::vector<std::int32_t> second(40);
  for (int layer = 0; layer < 5; ++layer) {
    const std::vector<double> loads = drawn_loads(rng, 32);
    LayerPacking fresh(cluster, 32);
    used.plan(loads, 40, first);
    fresh.plan(loads, 40, second);
    EXPECT_EQ(first, second);
  }
}

}  // namespace
}  // namespace flexpert::placement
