#include "placement/ideal_split.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "fleet/expert_layout.h"

namespace flexpert::placement {
namespace {

struct Case {
  std::uint32_t experts = 0;
  std::vector<double> loads;
  std::vector<std::int32_t> slots;
  ExpertCluster cluster;
};

Case draw(Rng& rng, std::uint32_t devices, std::uint32_t experts, bool alike) {
  Case out{experts, {}, {}, {}};
  for (std::uint32_t d = 0; d < devices; ++d) {
    const auto slots = static_cast<std::uint32_t>(1 + rng.below(5));
    out.cluster.devices.push_back({0, 0, slots, alike ? 1.0 : 0.5 + rng.uniform(), rng.below(8) != 0});
    for (std::uint32_t s = 0; s < slots; ++s)
      out.slots.push_back(rng.below(6) == 0 ? kEmptySlot : static_cast<std::int32_t>(rng.below(experts)));
  }
  for (std::uint32_t e = 0; e < experts; ++e) out.loads.push_back(rng.below(4) == 0 ? 0 : static_cast<double>(rng.below(100)));
  return out;
}

std::vector<std::uint32_t> holders_of(const Case& c) {
  std::vector<std::uint32_t> out(c.experts, 0);
  std::size_t slot = 0;
  for (std::size_t d = 0; d < c.cluster.devices.size(); ++d)
    for (std::uint32_t s = 0; s < c.cluster.devices[d].slots; ++s, ++slot)
      if (c.cluster.devices[d].alive && c.slots[slot] != kEmptySlot) out[static_cast<std::size_t>(c.slots[slot])] |= 1U << d;
  return out;
}

/// The dual, by all sets of experts.
double largest_cut(const Case& c) {
  const auto holders = holders_of(c);
  double most = 0;
  for (std::uint32_t set = 1; set < 1U << c.experts; ++set) {
    double load = 0;
    std::uint32_t devices = 0;
    for (std::uint32_t e = 0; e < c.experts; ++e)
      if ((set >> e & 1) != 0 && holders[e] != 0) load += c.loads[e], devices |= holders[e];
    double speed = 0;
    for (std::size_t d = 0; d < c.cluster.devices.size(); ++d)
      if ((devices >> d & 1) != 0) speed += c.cluster.devices[d].speed;
    if (devices != 0) most = std::max(most, load / speed);
  }
  return most;
}

/// The primal, by moving ever smaller amounts off the busiest device along its experts (not exact; from above).
double by_moving(const Case& c) {
  const auto holders = holders_of(c);
  std::vector<double> at(c.cluster.devices.size(), 0);
  std::vector<std::vector<double>> share(c.experts, std::vector<double>(at.size(), 0));
  for (std::uint32_t e = 0; e < c.experts; ++e) {
    if (holders[e] == 0) continue;
    for (std::size_t d = 0; d < at.size(); ++d)
      if ((holders[e] >> d & 1) != 0) at[d] += share[e][d] = c.loads[e] / std::popcount(holders[e]);
  }
  const auto level = [&](std::size_t d) { return at[d] / c.cluster.devices[d].speed; };
  for (int round = 0; round < 400; ++round)
    for (std::uint32_t e = 0; e < c.experts; ++e)
      for (std::size_t from = 0; from < at.size(); ++from)
        for (std::size_t to = 0; to < at.size(); ++to) {
          if (share[e][from] <= 0 || (holders[e] >> to & 1) == 0 || level(from) <= level(to)) continue;
          const double a = c.cluster.devices[from].speed;
          const double b = c.cluster.devices[to].speed;
          const double amount = std::min(share[e][from], (at[from] * b - at[to] * a) / (a + b));
          share[e][from] -= amount, share[e][to] += amount, at[from] -= amount, at[to] += amount;
        }
  double most = 0;
  for (std::size_t d = 0; d < at.size(); ++d) most = std::max(most, level(d));
  return most;
}

TEST(IdealSplit, AnExpertAloneCannotBeSplit) {
  const auto cluster = ExpertCluster::uniform(2, 1, 2);
  EXPECT_DOUBLE_EQ(ideal_max_load(std::vector<double>{10, 2, 2}, std::vector<std::int32_t>{0, 1, 1, 2}, cluster), 10);
}

TEST(IdealSplit, SharesNeedNotBeEven) {
  const auto cluster = ExpertCluster::uniform(2, 1, 2);
  EXPECT_DOUBLE_EQ(ideal_max_load(std::vector<double>{8, 6, 0}, std::vector<std::int32_t>{0, 1, 0, 2}, cluster), 7);
}

TEST(IdealSplit, LoadMovesOnThroughDevicesThatShareExperts) {
  const auto cluster = ExpertCluster::uniform(3, 1, 2);
  EXPECT_DOUBLE_EQ(ideal_max_load(std::vector<double>{6, 6, 3}, std::vector<std::int32_t>{0, 1, 1, 2, 2, kEmptySlot}, cluster), 6);
  EXPECT_DOUBLE_EQ(ideal_max_load(std::vector<double>{4, 4, 7}, std::vector<std::int32_t>{0, 1, 1, 2, 2, kEmptySlot}, cluster), 5);
}

TEST(IdealSplit, FasterDevicesTakeMoreAndDeadOnesNothing) {
  auto cluster = ExpertCluster::uniform(3, 1, 1);
  cluster.devices[1].speed = 3;
  cluster.devices[2].alive = false;
  EXPECT_DOUBLE_EQ(ideal_max_load(std::vector<double>{8}, std::vector<std::int32_t>{0, 0, 0}, cluster), 2);
}

TEST(IdealSplit, EqualsTheLargestCutOverAllSetsOfExperts) {
  Rng rng(5);
  for (int round = 0; round < 150; ++round) {
    const Case c = draw(rng, 1 + static_cast<std::uint32_t>(rng.below(14)), 1 + static_cast<std::uint32_t>(rng.below(9)), round % 2 == 0);
    const double expected = largest_cut(c);
    EXPECT_NEAR(ideal_max_load(c.loads, c.slots, c.cluster), expected, 1e-9 * expected) << round;
  }
}

TEST(IdealSplit, TheTightDevicesHoldThatLoadAlone) {
  Rng rng(8);
  for (int round = 0; round < 100; ++round) {
    const Case c = draw(rng, 2 + static_cast<std::uint32_t>(rng.below(16)), 12, round % 2 == 0);
    IdealSplit split(c.slots, c.experts, c.cluster);
    const double ideal = split.max_load(c.loads);
    std::uint32_t tight = 0;
    double speed = 0;
    for (std::size_t d = 0; d < c.cluster.devices.size(); ++d) {
      if (split.tight()[d] == 0) continue;
      EXPECT_TRUE(c.cluster.devices[d].alive);
      tight |= 1U << d;
      speed += c.cluster.devices[d].speed;
    }
    const auto holders = holders_of(c);
    double load = 0;
    for (std::uint32_t e = 0; e < c.experts; ++e)
      if (holders[e] != 0 && (holders[e] & ~tight) == 0) load += c.loads[e];
    EXPECT_NEAR(load, ideal * speed, 1e-9 * load) << round;
  }
}

TEST(IdealSplit, ASplitReachesIt) {
  Rng rng(6);
  for (int round = 0; round < 12; ++round) {
    const Case c = draw(rng, 3 + static_cast<std::uint32_t>(rng.below(10)), 4 + static_cast<std::uint32_t>(rng.below(8)), round % 2 == 0);
    const double reached = by_moving(c);
    const double ideal = ideal_max_load(c.loads, c.slots, c.cluster);
    EXPECT_LE(ideal, reached * (1 + 1e-9)) << round;
    EXPECT_GE(ideal, reached * 0.98 - 0.05) << round;
  }
}

TEST(IdealSplit, OneObjectAnswersManyQuestionsAlike) {
  Rng rng(7);
  for (const std::uint32_t devices : {6U, 13U}) {
    Case c = draw(rng, devices, 20, true);
    IdealSplit split(c.slots, 20, c.cluster);
    for (int round = 0; round < 20; ++round) {
      for (double& load : c.loads) load = static_cast<double>(rng.below(50));
      EXPECT_DOUBLE_EQ(split.max_load(c.loads), ideal_max_load(c.loads, c.slots, c.cluster));
    }
  }
}

}  // namespace
}  // namespace flexpert::placement
