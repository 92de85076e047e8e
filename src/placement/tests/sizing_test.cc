#include "placement/sizing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "placement/balance.h"

namespace flexpert::placement {
namespace {

/// Layers with a hot expert of `hot` times the others' load, or none (1).
ExpertCounts with_hot_experts(const std::vector<double>& hot, std::uint32_t experts) {
  ExpertCounts out{{static_cast<std::uint32_t>(hot.size()), experts}, std::vector<double>(hot.size() * experts, 100.0), 0};
  for (std::size_t l = 0; l < hot.size(); ++l) out.count[l * experts] = 100 * hot[l];
  return out;
}

std::uint64_t filled(const ExpertLayout& layout) {
  return layout.expert_of_slot.size() -
         static_cast<std::size_t>(std::count(layout.expert_of_slot.begin(), layout.expert_of_slot.end(), kEmptySlot));
}

TEST(Sizing, GivesSlotsToTheLayerThatNeedsThem) {
  const ExpertCounts counts = with_hot_experts({1, 40, 1, 1}, 16);
  const auto sizing = size_slots(counts, 4, 1, {0.95, 0});
  ASSERT_TRUE(sizing) << sizing.error().message;
  EXPECT_TRUE(sizing->reached);
  EXPECT_GE(sizing->balancedness, 0.95);
  EXPECT_EQ(sizing->redundant[0] + sizing->redundant[2] + sizing->redundant[3], 0U);
  EXPECT_GE(sizing->redundant[1], 2U);
  EXPECT_EQ(sizing->uniform_any_slots, 4 * sizing->redundant[1]);
  EXPECT_EQ(sizing->uniform_redundant, 4U) << "16 + 4 slots are the fewest over 16 that divide by 4 devices";
}

TEST(Sizing, KeepsItsPromisesOnRandomLoads) {
  Rng rng(51);
  for (int round = 0; round < 12; ++round) {
    const auto experts = static_cast<std::uint32_t>(8 + rng.below(16));
    const auto devices = static_cast<std::uint32_t>(2 + rng.below(6));
    ExpertCounts counts{{4, experts}, std::vector<double>(4 * experts), 0};
    for (double& count : counts.count) count = std::round(100 * std::exp(3 * rng.uniform()));
    const double goal = 0.9 + 0.08 * rng.uniform();
    const auto sizing = size_slots(counts, devices, 1, {goal, 0});
    ASSERT_TRUE(sizing) << sizing.error().message;
    ASSERT_TRUE(sizing->reached);
    EXPECT_GE(sizing->balancedness, goal * (1 - 1e-9));
    EXPECT_LE(sizing->redundant_slots, sizing->uniform_any_slots);
    EXPECT_LE(sizing->uniform_any_slots, sizing->uniform_slots);
    EXPECT_GE(sizing->uniform_balancedness, goal * (1 - 1e-9));
    EXPECT_EQ((experts + sizing->uniform_redundant) % devices, 0U);
    EXPECT_EQ(sizing->redundant_slots, std::accumulate(sizing->redundant.begin(), sizing->redundant.end(), std::uint64_t{0}));
    EXPECT_EQ(filled(sizing->plan.layout), counts.geometry.size() + sizing->redundant_slots);
    EXPECT_TRUE(validate(sizing->plan.layout));
    EXPECT_EQ(sizing->plan.balance.duplicates, 0U);
    EXPECT_EQ(sizing->plan.mode, "sized");
  }
}

TEST(Sizing, NeedsNoFewerSlotsForMore) {
  Rng rng(52);
  ExpertCounts counts{{5, 24}, std::vector<double>(120), 0};
  for (double& count : counts.count) count = std::round(100 * std::exp(3 * rng.uniform()));
  std::uint64_t before = 0;
  for (const double goal : {0.8, 0.9, 0.95, 0.98}) {
    const auto sizing = size_slots(counts, 8, 2, {goal, 0});
    ASSERT_TRUE(sizing && sizing->reached);
    EXPECT_GE(sizing->redundant_slots, before);
    before = sizing->redundant_slots;
  }
  EXPECT_GT(before, 0U);
}

TEST(Sizing, SpreadsWhatIsUnevenOverTheDevices) {
  Rng rng(53);
  ExpertCounts counts{{12, 16}, std::vector<double>(192), 0};
  for (double& count : counts.count) count = std::round(100 * std::exp(3 * rng.uniform()));
  const auto sizing = size_slots(counts, 8, 1, {0.97, 0});
  ASSERT_TRUE(sizing);
  const double average = static_cast<double>(filled(sizing->plan.layout)) / 8;
  EXPECT_LE(static_cast<double>(sizing->most_on_a_device), average + 3);
}

TEST(Sizing, SaysWhenTheGoalIsOutOfReach) {
  const auto sizing = size_slots(with_hot_experts({100, 100}, 8), 4, 1, {0.95, 1});
  ASSERT_TRUE(sizing);
  EXPECT_FALSE(sizing->reached);
  EXPECT_LT(sizing->balancedness, 0.95);
  EXPECT_EQ(sizing->redundant, (std::vector<std::uint32_t>{1, 1})) << "the best there is within the limit";
  EXPECT_EQ(sizing->plan.reasons.back().code, "goal_not_reached");
}

TEST(Sizing, NeedsNothingWithoutLoad) {
  ExpertCounts counts = with_hot_experts({1, 1}, 10);
  std::fill(counts.count.begin(), counts.count.end(), 0.0);
  const auto sizing = size_slots(counts, 4, 1, {0.99, 0});
  ASSERT_TRUE(sizing && sizing->reached);
  EXPECT_EQ(sizing->redundant_slots, 0U);
  EXPECT_EQ(sizing->uniform_redundant, 2U) << "12 is the first multiple of 4 devices";
}

TEST(Sizing, SaysWhatIsWrong) {
  const ExpertCounts counts = with_hot_experts({1}, 8);
  EXPECT_EQ(size_slots(counts, 6, 4, {}).error().message, "sizing: needs devices, and nodes that divide them: 6 devices, 4 nodes");
  EXPECT_EQ(size_slots(counts, 4, 1, {1.5, 0}).error().message, "sizing: the balancedness to reach must be over 0 and at most 1: 1.5");
  EXPECT_FALSE(size_slots(counts, 4, 1, {std::nan(""), 0}));
  EXPECT_FALSE(size_slots(counts, 0, 0, {}));
  EXPECT_FALSE(size_slots({{1, 5000}, std::vector<double>(5000, 1.0), 0}, 4, 1, {}));
}

TEST(Sizing, ManyLayersTakeNoMoreTimeThanTheirSlots) {
  // Two experts that are never even on three devices, in as many layers as there may be.
  ExpertCounts counts{{1024, 64}, {}, 0};
  for (std::size_t i = 0; i < counts.geometry.size(); ++i) counts.count.push_back(i % 64 == 0 ? 500 : 1);
  const auto made = size_slots(counts, 64, 1, {.balancedness = 1, .max_redundant = 0});
  ASSERT_TRUE(made.has_value());
  EXPECT_LE(made->uniform_any_slots, 65536U);
}

}  // namespace
}  // namespace flexpert::placement
