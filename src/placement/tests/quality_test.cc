#include "placement/quality.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "placement/balance.h"
#include "placement/eplb.h"

namespace flexpert::placement {
namespace {

ExpertCounts drawn_counts(Rng& rng, ExpertGeometry geometry) {
  ExpertCounts out{geometry, std::vector<double>(geometry.size()), 0};
  const std::uint64_t kind = rng.below(4);
  for (double& count : out.count) {
    if (kind == 0) count = static_cast<double>(rng.below(5));
    if (kind == 1) count = std::floor(1000 * std::exp(3 * rng.uniform()));
    if (kind == 2) count = rng.uniform() < 0.6 ? 0 : static_cast<double>(rng.below(100));
    if (kind == 3) count = rng.uniform() < 0.1 ? 1e5 * rng.uniform() : 1e3 * rng.uniform();
  }
  return out;
}

/// What every plan must keep: living slots filled as far as experts go, nothing on dead devices, no expert twice.
void expect_sound(const PlacementPlan& plan, const ExpertCluster& cluster, const ExpertCounts& counts) {
  ASSERT_TRUE(validate(plan.layout));
  EXPECT_TRUE(check_match(plan.layout, cluster, counts));
  EXPECT_EQ(plan.balance.duplicates, 0U);
  for (std::uint32_t l = 0; l < counts.geometry.layers; ++l) {
    std::size_t slot = 0;
    for (const ExpertDevice& device : cluster.devices) {
      const auto held = plan.layout.layer(l).subspan(slot, device.slots);
      const auto filled =
          static_cast<std::uint32_t>(std::count_if(held.begin(), held.end(), [](std::int32_t e) { return e != kEmptySlot; }));
      ASSERT_EQ(filled, device.alive ? std::min(device.slots, counts.geometry.experts) : 0U);
      slot += device.slots;
    }
    const LayerBalance& balance = plan.balance.layers[l];
    EXPECT_LE(balance.lower_bound, balance.max_load * (1 + 1e-9));
  }
}

TEST(Quality, IsNeverWorseThanEplbWithoutDuplicates) {
  Rng rng(31);
  int compared = 0;
  int better = 0;
  for (int round = 0; round < 150; ++round) {
    const auto devices = static_cast<std::uint32_t>(1 + rng.below(12));
    const auto experts = static_cast<std::uint32_t>(1 + rng.below(40));
    const std::uint32_t slots =
        std::min<std::uint32_t>(experts, (experts + devices - 1) / devices + static_cast<std::uint32_t>(rng.below(3)));
    const ExpertCounts counts = drawn_counts(rng, {2, experts});
    const auto cluster = ExpertCluster::uniform(devices, 1, slots);
    const auto plan = plan_quality(counts, cluster);
    ASSERT_TRUE(plan) << plan.error().message;
    expect_sound(*plan, cluster, counts);
    const Balance eplb = balance_of(plan_eplb(counts, {devices * slots, 1, 1, devices}).value(), cluster, counts);
    for (std::size_t l = 0; l < eplb.layers.size(); ++l) {
      if (eplb.layers[l].duplicates > 0) continue;
      ++compared;
      better += plan->balance.layers[l].max_load < 0.999 * eplb.layers[l].max_load;
      ASSERT_LE(plan->balance.layers[l].max_load, eplb.layers[l].max_load * (1 + 1e-12))
          << experts << " experts on " << devices << " x " << slots;
    }
  }
  EXPECT_GT(compared, 100);
  EXPECT_GT(better, compared / 4);
}

TEST(Quality, TakesDevicesThatDiffer) {
  Rng rng(32);
  for (int round = 0; round < 150; ++round) {
    ExpertCluster cluster;
    std::uint32_t living = 0;
    const auto experts = static_cast<std::uint32_t>(1 + rng.below(24));
    for (std::uint64_t d = 1 + rng.below(8); d-- > 0;) {
      cluster.devices.push_back({0, 0, static_cast<std::uint32_t>(rng.below(30)), 0.5 + rng.uniform(), rng.below(5) != 0});
      living += cluster.devices.back().alive ? cluster.devices.back().slots : 0;
    }
    const ExpertCounts counts = drawn_counts(rng, {2, experts});
    const auto plan = plan_quality(counts, cluster);
    if (living < experts) {
      ASSERT_FALSE(plan);
      continue;
    }
    ASSERT_TRUE(plan) << plan.error().message;
    expect_sound(*plan, cluster, counts);
  }
}

TEST(Quality, LoadsFastDevicesMore) {
  ExpertCluster cluster = ExpertCluster::uniform(4, 1, 8);
  cluster.devices[2].speed = 2;
  Rng rng(33);
  ExpertCounts counts{{1, 24}, std::vector<double>(24), 0};
  for (double& count : counts.count) count = 100 + 100 * rng.uniform();
  const auto plan = plan_quality(counts, cluster);
  ASSERT_TRUE(plan);
  EXPECT_GT(plan->balance.balancedness, 0.99);
}

TEST(Quality, IsCloseToTheBoundOnUsualLoads) {
  Rng rng(34);
  ExpertCounts counts{{4, 128}, std::vector<double>(512), 0};
  for (double& count : counts.count) count = std::round(1000 * std::exp(2 * rng.uniform()));
  for (const std::uint32_t devices : {16U, 32U}) {
    const auto plan = plan_quality(counts, ExpertCluster::uniform(devices, 1, 160 / devices));
    ASSERT_TRUE(plan);
    EXPECT_GT(plan->balance.worst, 0.994);
    EXPECT_LT(plan->balance.gap, 0.005);
  }
}

TEST(Quality, GivesTheSameForTheSame) {
  Rng rng(35);
  const ExpertCounts counts = drawn_counts(rng, {3, 48});
  const auto cluster = ExpertCluster::uniform(8, 2, 8);
  EXPECT_EQ(plan_quality(counts, cluster)->layout, plan_quality(counts, cluster)->layout);
}

TEST(Quality, TakesLayersWithoutLoadAndOneDevice) {
  const ExpertCounts none{{2, 6}, std::vector<double>(12), 0};
  const auto cluster = ExpertCluster::uniform(3, 1, 4);
  const auto plan = plan_quality(none, cluster);
  ASSERT_TRUE(plan);
  expect_sound(*plan, cluster, none);
  EXPECT_EQ(plan->balance.balancedness, 1);
  const auto single = plan_quality(none, ExpertCluster::uniform(1, 1, 9));
  ASSERT_TRUE(single);
  expect_sound(*single, ExpertCluster::uniform(1, 1, 9), none);
  EXPECT_EQ(single->reasons.back().code, "surplus_slots");
}

TEST(Quality, LeavesDeadDevicesEmptyAndSaysSo) {
  ExpertCluster cluster = ExpertCluster::uniform(4, 2, 4);
  cluster.devices[1].alive = false;
  Rng rng(36);
  const ExpertCounts counts = drawn_counts(rng, {2, 10});
  const auto plan = plan_quality(counts, cluster);
  ASSERT_TRUE(plan);
  expect_sound(*plan, cluster, counts);
  EXPECT_EQ(plan->reasons.back().code, "dead_devices");
}

TEST(Quality, EndsOnTheLargestLoads) {
  const ExpertCounts counts{{1, 12}, std::vector<double>(12, kMostCount), 0};
  const auto plan = plan_quality(counts, ExpertCluster::uniform(4, 1, 4));
  ASSERT_TRUE(plan);
  EXPECT_TRUE(validate(plan->layout));
  EXPECT_EQ(plan->balance.duplicates, 0U);
}

TEST(Quality, SaysWhatIsMissing) {
  const ExpertCounts counts{{1, 10}, std::vector<double>(10, 1.0), 0};
  EXPECT_EQ(plan_quality(counts, ExpertCluster::uniform(3, 1, 3)).error().message,
            "quality plan: 10 experts need as many slots on living devices: there are 9; add slots");
  const ExpertCounts many{{1, 5000}, std::vector<double>(5000, 1.0), 0};
  EXPECT_EQ(plan_quality(many, ExpertCluster::uniform(2, 1, 3000)).error().message, "quality plan: at most 4096 experts a layer: 5000");
  EXPECT_FALSE(plan_quality(counts, ExpertCluster{}));
}

}  // namespace
}  // namespace flexpert::placement
