#include "placement/max_load_bound.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "placement/balance.h"

namespace flexpert::placement {
namespace {

ExpertCluster cluster_of(const std::vector<std::uint32_t>& slots, const std::vector<double>& speeds = {}) {
  ExpertCluster out;
  for (std::uint32_t d = 0; d < slots.size(); ++d) out.devices.push_back({0, 0, slots[d], speeds.empty() ? 1.0 : speeds[d], true});
  return out;
}

/// The smallest largest load of all layouts: every device holds any multiset of experts, or leaves slots empty.
double exhaustive(const std::vector<double>& loads, const ExpertCluster& cluster) {
  const auto experts = static_cast<std::uint32_t>(loads.size());
  std::vector<std::vector<std::uint32_t>> held(cluster.devices.size(), std::vector<std::uint32_t>(experts, 0));
  std::vector<std::uint32_t> copies(experts, 0);
  double best = 1e300;
  const auto evaluate = [&] {
    if (std::find(copies.begin(), copies.end(), 0U) != copies.end()) return;
    double most = 0;
    for (std::size_t d = 0; d < held.size(); ++d) {
      double load = 0;
      for (std::uint32_t e = 0; e < experts; ++e) load += held[d][e] * loads[e] / copies[e];
      most = std::max(most, load / cluster.devices[d].speed);
    }
    best = std::min(best, most);
  };
  // Device by device, expert by expert, how many copies.
  std::function<void(std::size_t, std::uint32_t, std::uint32_t)> choose = [&](std::size_t d, std::uint32_t e, std::uint32_t left) {
    if (d == held.size()) return evaluate();
    if (e == experts) return choose(d + 1, 0, d + 1 < held.size() ? cluster.devices[d + 1].slots : 0);
    for (std::uint32_t n = 0; n <= left; ++n) {
      held[d][e] = n;
      copies[e] += n;
      choose(d, e + 1, left - n);
      copies[e] -= n;
    }
    held[d][e] = 0;
  };
  choose(0, 0, cluster.devices[0].slots);
  return best;
}

TEST(MaxLoadBound, NoLayoutOfATinyClusterIsBelowIt) {
  Rng rng(21);
  int tight = 0;
  int above_mean = 0;
  int rounds = 0;
  while (rounds < 400) {
    const auto devices = 2 + rng.below(2);
    const auto experts = 2 + rng.below(3);
    std::vector<std::uint32_t> slots(devices, 1 + static_cast<std::uint32_t>(rng.below(2)));
    if (rng.below(2) == 0) slots[0] = 1 + static_cast<std::uint32_t>(rng.below(3));
    if (std::accumulate(slots.begin(), slots.end(), 0U) < experts) continue;
    std::vector<double> speeds(devices, 1);
    if (rng.below(3) == 0) speeds[0] = 0.5 + rng.uniform();
    std::vector<double> loads(experts);
    for (double& load : loads) load = rng.below(2) == 0 ? static_cast<double>(rng.below(6)) : std::exp(3 * rng.uniform());
    const ExpertCluster cluster = cluster_of(slots, speeds);
    const double least = exhaustive(loads, cluster);
    const double bound = max_load_bound(loads, cluster);
    ASSERT_LE(bound, least * (1 + 1e-9)) << "round " << rounds;
    ++rounds;
    tight += bound >= least * (1 - 1e-6);
    above_mean += bound > 1.001 * std::accumulate(loads.begin(), loads.end(), 0.0) / std::accumulate(speeds.begin(), speeds.end(), 0.0);
  }
  EXPECT_GT(tight, rounds / 2) << "a bound that is rarely reached says little";
  EXPECT_GT(above_mean, rounds / 4);
}

TEST(MaxLoadBound, IsTheMeanWhereThatIsReached) {
  EXPECT_DOUBLE_EQ(max_load_bound(std::vector<double>{3, 3, 3, 3}, cluster_of({2, 2})), 6);
  EXPECT_DOUBLE_EQ(max_load_bound(std::vector<double>{6, 3, 3}, cluster_of({2, 2})), 6);
  EXPECT_DOUBLE_EQ(max_load_bound(std::vector<double>{6, 3}, cluster_of({1, 1}, {2, 1})), 3);
}

TEST(MaxLoadBound, SeesTheShareOfAHotExpert) {
  // Six slots, five experts: the hot one has two replicas at best, and then no slot is empty.
  EXPECT_NEAR(max_load_bound(std::vector<double>{90, 1, 1, 1, 1}, cluster_of({2, 2, 2})), 46, 1e-4);
  EXPECT_NEAR(max_load_bound(std::vector<double>{90, 1, 1}, cluster_of({1, 1, 1, 1})), 45, 1e-4);
}

TEST(MaxLoadBound, SeesTheCompanyOfAHotExpert) {
  // No redundancy: the hot expert's device takes another one, and the lightest has 2.
  EXPECT_NEAR(max_load_bound(std::vector<double>{10, 3, 3, 2}, cluster_of({2, 2})), 12, 1e-4);
}

TEST(MaxLoadBound, SeesThatThreeBigOnesDoNotFitOnTwoDevices) {
  EXPECT_NEAR(max_load_bound(std::vector<double>{6, 6, 6}, cluster_of({2, 1})), 12, 1e-4);
}

TEST(MaxLoadBound, LeavesDeadDevicesOut) {
  ExpertCluster cluster = cluster_of({2, 2, 2});
  cluster.devices[1].alive = false;
  EXPECT_DOUBLE_EQ(max_load_bound(std::vector<double>{4, 4, 4, 4}, cluster), 8);
}

TEST(MaxLoadBound, IsZeroWithoutLoadOrRoom) {
  EXPECT_EQ(max_load_bound(std::vector<double>{0, 0}, cluster_of({1, 1})), 0);
  EXPECT_EQ(max_load_bound(std::vector<double>{1, 1}, cluster_of({0, 0})), 0);
  ExpertCluster dead = cluster_of({1, 1});
  for (ExpertDevice& device : dead.devices) device.alive = false;
  EXPECT_EQ(max_load_bound(std::vector<double>{1, 1}, dead), 0);
}

TEST(MaxLoadBound, SearchesNoHigherThanAKnownLayout) {
  MaxLoadBound bound(cluster_of({2, 2}));
  EXPECT_LE(bound.of(std::vector<double>{10, 3, 3, 2}, 12), 12);
  EXPECT_GT(bound.of(std::vector<double>{10, 3, 3, 2}, 12), 11.9);
}

}  // namespace
}  // namespace flexpert::placement
