#include "placement/drift.h"

#include <gtest/gtest.h>

#include <algorithm>

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

RecordedWindow window(Rng& rng, std::uint32_t hot, std::uint64_t tokens) { return {.counts = draw(rng, hot, tokens), .parts = {}}; }

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
  for (int i = 0; i < 6; ++i) history.add(window(rng, 0, 1000));
  EXPECT_EQ(history.expected(1.5).size(), 6u);
  history.add(window(rng, 8, 1000));
  EXPECT_EQ(history.expected(1.5).size(), 1u);
}

TEST(LoadHistory, RemembersALoadThatComesBack) {
  Rng rng(5);
  LoadHistory history({.windows = 12});
  for (int i = 0; i < 4; ++i) history.add(window(rng, 0, 1000));
  for (int i = 0; i < 20; ++i) history.add(window(rng, 8, 1000));
  history.add(window(rng, 0, 1000));
  EXPECT_GE(history.expected(1.5).size(), 2u);
}

TEST(LoadHistory, SmallWindowsWeighLittle) {
  Rng rng(6);
  LoadHistory history({});
  history.add(window(rng, 0, 50));
  history.add(window(rng, 0, 2000));
  const auto loads = history.expected(1.5);
  ASSERT_EQ(loads.size(), 2u);
  EXPECT_EQ(loads[0].weight, 1);
  EXPECT_LT(loads[1].weight, 0.03);
}

TEST(LoadHistory, OlderWindowsKeepSomeOfTheirPartsWhole) {
  Rng rng(8);
  LoadHistory history({.parts = 16});
  for (std::size_t parts = 14; parts < 40; ++parts) {
    RecordedWindow one = window(rng, 0, 1000);
    one.parts.assign(parts, one.counts);
    history.add(std::move(one));
  }
  for (const WeightedWindow& one : history.expected(1.5)) {
    EXPECT_EQ(one.window->parts.size(), one.window == &history.newest() ? 39u : 16u);
    for (const ExpertCounts& part : one.window->parts) EXPECT_TRUE(validate(part));
  }
}

TEST(LoadHistory, TheMeanKeepsTheSizeOfTheFirst) {
  const ExpertGeometry geometry{.layers = 2, .experts = 2};
  const RecordedWindow a{.counts = {.geometry = geometry, .count = {8, 0, 0, 0}, .tokens = 8}, .parts = {}};
  const RecordedWindow b{.counts = {.geometry = geometry, .count = {1, 1, 5, 5}, .tokens = 2}, .parts = {}};
  const ExpertCounts mean = mean_load({{.window = &a, .weight = 1}, {.window = &b, .weight = 1}});
  EXPECT_EQ(mean.count, (std::vector<double>{6, 2, 0, 0}));
}

TEST(LoadHistory, SamplesFollowTheWeights) {
  Rng rng(7);
  RecordedWindow a = window(rng, 0, 100);
  RecordedWindow b = window(rng, 8, 100);
  for (int i = 0; i < 32; ++i) a.parts.push_back(a.counts), b.parts.push_back(b.counts);
  const auto samples = samples_of({{.window = &a, .weight = 1}, {.window = &b, .weight = 0.25}}, 16);
  EXPECT_EQ(std::ranges::count(samples, a.counts), 32);
  EXPECT_EQ(std::ranges::count(samples, b.counts), 4);
  b.parts.clear();
  EXPECT_EQ(std::ranges::count(samples_of({{.window = &a, .weight = 1}, {.window = &b, .weight = 0.5}}, 16), b.counts), 2);
}

}  // namespace
}  // namespace flexpert::placement
