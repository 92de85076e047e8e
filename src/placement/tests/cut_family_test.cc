#include "placement/cut_family.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "fleet/expert_layout.h"
#include "placement/ideal_split.h"

namespace flexpert::placement {
namespace {

constexpr std::uint32_t kExperts = 20;
constexpr std::uint32_t kWindows = 11;

struct Sample {
  ExpertCluster cluster;
  std::vector<std::uint16_t> holders;  // [experts][devices]
  std::vector<double> loads;           // [windows][experts]
};

Sample draw(Rng& rng, std::uint32_t devices) {
  Sample out{ExpertCluster::uniform(devices, 1, kExperts), std::vector<std::uint16_t>(kExperts * devices, 0), {}};
  for (auto& device : out.cluster.devices) device.speed = 0.5 * static_cast<double>(1 + rng.below(3));
  for (std::uint32_t e = 0; e < kExperts; ++e)
    for (std::uint64_t r = 0; r <= rng.below(3); ++r) out.holders[e * devices + rng.below(devices)] = 1;
  for (std::uint32_t i = 0; i < kWindows * kExperts; ++i) out.loads.push_back(static_cast<double>(rng.below(50)));
  return out;
}

/// The same by the ideal split of every window.
double ideal_cost(const Sample& sample, const CutFamily& family) {
  const auto devices = static_cast<std::uint32_t>(sample.cluster.devices.size());
  std::vector<std::int32_t> row(devices * kExperts, kEmptySlot);
  for (std::uint32_t e = 0; e < kExperts; ++e)
    for (std::uint32_t d = 0; d < devices; ++d)
      if (family.replicas_on(e, d) > 0) row[d * kExperts + e] = static_cast<std::int32_t>(e);
  double sum = 0;
  for (std::uint32_t w = 0; w < kWindows; ++w)
    sum += ideal_max_load(std::span(sample.loads).subspan(w * kExperts, kExperts), row, sample.cluster);
  return sum;
}

ReplicaChange draw_change(Rng& rng, const CutFamily& family, std::uint32_t devices) {
  ReplicaChange change{static_cast<std::uint32_t>(rng.below(kExperts)), ReplicaChange::kNoDevice,
                       static_cast<std::uint32_t>(rng.below(devices))};
  for (std::uint32_t d = 0; d < devices && rng.below(2) == 0; ++d)
    if (d != change.to && family.replicas_on(change.expert, d) > 0) change.from = d;
  return change;
}

TEST(CutFamily, AllSetsOfAFewDevicesGiveTheIdealSplit) {
  Rng rng(41);
  for (int round = 0; round < 12; ++round) {
    const Sample sample = draw(rng, 2 + static_cast<std::uint32_t>(rng.below(6)));
    const CutFamily family(sample.cluster, kExperts, sample.holders, sample.loads);
    EXPECT_TRUE(family.exact());
    EXPECT_NEAR(family.cost(), ideal_cost(sample, family), 1e-3);
  }
}

TEST(CutFamily, SaysBeforehandWhatAChangeGives) {
  Rng rng(42);
  for (const std::uint32_t devices : {6U, 12U}) {
    const Sample sample = draw(rng, devices);
    CutFamily family(sample.cluster, kExperts, sample.holders, sample.loads);
    for (int round = 0; round < 60; ++round) {
      ReplicaChange changes[] = {draw_change(rng, family, devices), draw_change(rng, family, devices)};
      if (changes[0].expert == changes[1].expert) continue;
      const double said = family.cost_after(changes, 1e30);
      EXPECT_GE(family.cost_after(changes, said * 0.9), said * 0.9);
      family.apply(changes);
      EXPECT_NEAR(family.cost(), said, 1e-3);
      if (!family.exact()) continue;
      EXPECT_NEAR(family.cost(), ideal_cost(sample, family), 1e-3);
    }
  }
}

TEST(CutFamily, OfManyDevicesBoundsFromBelowUntilItsSetsAreKnown) {
  Rng rng(43);
  const Sample sample = draw(rng, 14);
  CutFamily family(sample.cluster, kExperts, sample.holders, sample.loads);
  EXPECT_FALSE(family.exact());
  EXPECT_LE(family.cost(), ideal_cost(sample, family) + 1e-3);
  std::vector<std::int32_t> row(14 * kExperts, kEmptySlot);
  for (std::uint32_t i = 0; i < sample.holders.size(); ++i)
    if (sample.holders[i] > 0) row[i % 14 * kExperts + i / 14] = static_cast<std::int32_t>(i / 14);
  IdealSplit split(row, kExperts, sample.cluster);
  for (std::uint32_t w = 0; w < kWindows; ++w) {
    split.max_load(std::span(sample.loads).subspan(w * kExperts, kExperts));
    family.add(split.tight());
    EXPECT_FALSE(family.add(split.tight()));
  }
  family.refresh();
  EXPECT_NEAR(family.cost(), ideal_cost(sample, family), 1e-3);
}

}  // namespace
}  // namespace flexpert::placement
