#include "placement/drift.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/rng.h"
#include "placement/rebalance_history.h"

namespace flexpert::placement {
namespace {

constexpr ExpertGeometry kGeometry{.layers = 3, .experts = 16};

/// Draws choices with weights that fall from expert `hot` on.
ExpertCounts draw(Rng& rng, std::uint32_t hot, std::uint64_t tokens) {
  ExpertCounts counts{.geometry = kGeometry, .count = std::vector<double>(kGeometry.size()), .tokens = tokens};
  for (std::uint32_t l = 0; l < kGeometry.layers; ++l)
    for (std::uint64_t t = 0; t < tokens; ++t) {
      const auto expert = (hot + std::min(rng.below(16), rng.below(16))) % 16;
      counts.count[l * 16 + expert] += 1;
    }
  return counts;
}

TEST(Drift, SamplesOfOneLoadAreAboutAsFarApartAsChance) {
  Rng rng(1);
  for (const std::uint64_t tokens : {200, 2000, 20000}) {
    double ratio = 0;
    for (int i = 0; i < 20; ++i) ratio += distance_between(draw(rng, 0, tokens), draw(rng, 0, tokens / 2)).ratio() / 20;
    EXPECT_NEAR(ratio, 1, 0.1) << tokens;
  }
}

TEST(Drift, DistanceIsTheShareOfTokensThatGoElsewhere) {
  ExpertCounts a{.geometry = {.layers = 1, .experts = 4}, .count = {4, 4, 0, 0}, .tokens = 8};
  ExpertCounts b{.geometry = {.layers = 1, .experts = 4}, .count = {0, 2, 2, 0}, .tokens = 4};
  EXPECT_DOUBLE_EQ(distance_between(a, b).distance, 0.5);
  EXPECT_DOUBLE_EQ(distance_between(a, a).distance, 0);
  b.count = {0, 0, 0, 0};
  EXPECT_DOUBLE_EQ(distance_between(a, b).ratio(), 1);
}

TEST(Drift, AnotherLoadIsSeenAtOnceAndNoiseIsNot) {
  Rng rng(2);
  DriftDetector detector(1.6);
  const ExpertCounts reference = draw(rng, 0, 20000);
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(detector.observe(draw(rng, 0, 1000), reference).drifted) << i;
  EXPECT_TRUE(detector.observe(draw(rng, 8, 1000), reference).drifted);
  EXPECT_TRUE(detector.observe(draw(rng, 2, 1000), reference).drifted);
}

TEST(Drift, FactorZeroNeverSeesOne) {
  Rng rng(3);
  DriftDetector detector(0);
  EXPECT_FALSE(detector.observe(draw(rng, 8, 1000), draw(rng, 0, 1000)).drifted);
}

TEST(LoadHistory, WindowsOfAnotherLoadDoNotCount) {
  Rng rng(4);
  LoadHistory history({});
  for (int i = 0; i < 6; ++i) history.add(draw(rng, 0, 1000));
  EXPECT_EQ(history.expected(1.5).size(), 6u);
  history.add(draw(rng, 8, 1000));
  EXPECT_EQ(history.expected(1.5).size(), 1u);
}

TEST(LoadHistory, RemembersALoadThatComesBack) {
  Rng rng(5);
  LoadHistory history({.windows = 12});
  for (int i = 0; i < 4; ++i) history.add(draw(rng, 0, 1000));
  for (int i = 0; i < 20; ++i) history.add(draw(rng, 8, 1000));
  history.add(draw(rng, 0, 1000));
  EXPECT_GE(history.expected(1.5).size(), 2u);
}

TEST(LoadHistory, SmallWindowsWeighLittle) {
  Rng rng(6);
  LoadHistory history({});
  history.add(draw(rng, 0, 50));
  history.add(draw(rng, 0, 2000));
  const auto loads = history.expected(1.5);
  ASSERT_EQ(loads.size(), 2u);
  EXPECT_EQ(loads[0].weight, 1);
  EXPECT_LT(loads[1].weight, 0.03);
}

TEST(LoadHistory, TheMeanKeepsTheSizeOfTheFirst) {
  const ExpertGeometry geometry{.layers = 2, .experts = 2};
  const ExpertCounts a{.geometry = geometry, .count = {8, 0, 0, 0}, .tokens = 8};
  const ExpertCounts b{.geometry = geometry, .count = {1, 1, 5, 5}, .tokens = 2};
  const ExpertCounts mean = mean_load({{.counts = &a, .weight = 1}, {.counts = &b, .weight = 1}});
  EXPECT_EQ(mean.count, (std::vector<double>{6, 2, 0, 0}));
}

}  // namespace
}  // namespace flexpert::placement
