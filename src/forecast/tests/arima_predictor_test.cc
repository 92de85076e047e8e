#include "forecast/arima_predictor.h"

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "forecast/tests/arima_series.h"

namespace flexpert::forecast {
namespace {

constexpr std::array<std::size_t, 4> kHorizons = {1, 3, 10, 30};
constexpr std::array<double, 3> kLevels = {0.1, 0.5, 0.9};
constexpr double kGap = std::numeric_limits<double>::quiet_NaN();

double normal(Rng& rng) { return std::sqrt(-2 * std::log(1 - rng.uniform())) * std::cos(6.283185307179586 * rng.uniform()); }

std::string state_of(const Predictor& predictor) {
  StateWriter writer;
  predictor.save(writer);
  return writer.take();
}

void expect_same(const Predictor& a, const Predictor& b) {
  const std::vector<Prediction> of_a = a.predict(kHorizons, kLevels);
  const std::vector<Prediction> of_b = b.predict(kHorizons, kLevels);
  for (std::size_t i = 0; i < of_a.size(); ++i) {
    EXPECT_EQ(of_a[i].mean, of_b[i].mean);
    EXPECT_EQ(of_a[i].quantiles, of_b[i].quantiles);
  }
}

void expect_sane(const Predictor& predictor) {
  for (const Prediction& prediction : predictor.predict(kHorizons, kLevels)) {
    ASSERT_TRUE(std::isfinite(prediction.mean));
    double before = 0;
    for (const double quantile : prediction.quantiles) {
      ASSERT_TRUE(std::isfinite(quantile));
      ASSERT_GE(quantile, before);
      before = quantile;
    }
  }
}

class BothArimas : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] std::unique_ptr<Predictor> make() const { return GetParam() ? make_frozen_arima_predictor({}) : make_arima_predictor({}); }
};

TEST_P(BothArimas, RestoredGoesOnBitForBit) {
  for (const std::size_t cut : {0, 1, 4, 5, 6, 20, 57, 90}) {
    std::unique_ptr<Predictor> whole = make();
    for (std::size_t i = 0; i < cut; ++i) whole->observe(i % 13 == 7 ? kGap : testing::kWalk[i]);
    std::unique_ptr<Predictor> restored = make();
    const std::string state = state_of(*whole);
    StateReader reader(state);
    ASSERT_TRUE(restored->restore(reader));
    EXPECT_TRUE(reader.at_end());
    EXPECT_EQ(state_of(*restored), state);
    expect_same(*whole, *restored);
    for (std::size_t i = cut; i < 100; ++i) {
      whole->observe(testing::kWalk[i]);
      restored->observe(testing::kWalk[i]);
      expect_same(*whole, *restored);
    }
    EXPECT_EQ(state_of(*restored), state_of(*whole));
  }
}

TEST_P(BothArimas, StaysSaneAndSmallOnAnything) {
  Rng rng(7);
  std::unique_ptr<Predictor> predictor = make();
  expect_sane(*predictor);
  const double odd[] = {0, -1, 1e-320, 1e308, -1e308, std::numeric_limits<double>::infinity(), kGap, 5};
  std::size_t largest = 0;
  for (int i = 0; i < 300; ++i) {
    predictor->observe(i % 3 == 0 ? odd[rng.below(std::size(odd))] : 100 * rng.uniform());
    expect_sane(*predictor);
    largest = std::max(largest, state_of(*predictor).size());
  }
  EXPECT_LE(largest, 32u * 1024);
}

TEST_P(BothArimas, SaysNothingBeforeTheFirstValue) {
  std::unique_ptr<Predictor> predictor = make();
  predictor->observe(kGap);
  const std::vector<Prediction> predictions = predictor->predict(kHorizons, kLevels);
  EXPECT_EQ(predictions[3].mean, 0);
  EXPECT_EQ(predictions[3].quantiles, (std::vector<double>{0, 0, 0}));
  EXPECT_TRUE(predictor->predict({}, kLevels).empty());
}

TEST_P(BothArimas, ACloneIsIndependent) {
  std::unique_ptr<Predictor> predictor = make();
  for (int i = 0; i < 40; ++i) predictor->observe(testing::kWalk[i]);
  const std::unique_ptr<Predictor> clone = predictor->clone();
  expect_same(*predictor, *clone);
  const std::string before = state_of(*clone);
  predictor->observe(500);
  EXPECT_EQ(state_of(*clone), before);
}

TEST_P(BothArimas, RefusesAStateThatIsNotItsOwn) {
  std::unique_ptr<Predictor> predictor = make();
  for (int i = 0; i < 30; ++i) predictor->observe(testing::kWalk[i]);
  const std::string state = state_of(*predictor);
  for (std::size_t length = 0; length + 1 < state.size(); length += 7) {
    StateReader cut(std::string_view(state).substr(0, length));
    EXPECT_FALSE(predictor->restore(cut)) << length;
  }
  StateReader other("kalman/1 ");
  EXPECT_FALSE(predictor->restore(other));
  EXPECT_EQ(state_of(*predictor), state_of(*make()));
}

INSTANTIATE_TEST_SUITE_P(Kinds, BothArimas, ::testing::Bool());

TEST(ArimaPredictor, CarriesATrendOn) {
  std::unique_ptr<Predictor> predictor = make_arima_predictor({});
  for (int i = 0; i < 40; ++i) predictor->observe(100 + 5 * i);
  EXPECT_NEAR(predictor->predict(kHorizons, kLevels)[2].mean, 100 + 5 * 49, 0.1);
}

TEST(ArimaPredictor, FollowsAChangeOfLevelWithinAFewSteps) {
  Rng rng(3);
  std::unique_ptr<Predictor> predictor = make_arima_predictor({});
  for (int i = 0; i < 60; ++i) predictor->observe(100 + 3 * normal(rng));
  for (int i = 0; i < 10; ++i) predictor->observe(300 + 3 * normal(rng));
  EXPECT_NEAR(predictor->predict(kHorizons, kLevels)[0].mean, 300, 30);
}

TEST(ArimaPredictor, WakesFromIdlenessWithTheLoad) {
  std::unique_ptr<Predictor> predictor = make_arima_predictor({});
  for (int i = 0; i < 50; ++i) predictor->observe(0);
  EXPECT_EQ(predictor->predict(kHorizons, kLevels)[3].mean, 0);
  predictor->observe(80);
  EXPECT_NEAR(predictor->predict(kHorizons, kLevels)[0].mean, 80, 1);
  for (int i = 0; i < 20; ++i) predictor->observe(0);
  EXPECT_EQ(predictor->predict(kHorizons, kLevels)[3].mean, 0);
}

TEST(ArimaPredictor, AGapWidensItsBounds) {
  Rng rng(4);
  std::unique_ptr<Predictor> predictor = make_arima_predictor({});
  double level = 500;
  for (int i = 0; i < 80; ++i) predictor->observe(level += 5 * normal(rng));
  const Prediction before = predictor->predict(kHorizons, kLevels)[0];
  for (int i = 0; i < 8; ++i) predictor->observe(kGap);
  const Prediction after = predictor->predict(kHorizons, kLevels)[0];
  EXPECT_GT(after.quantiles[2] - after.quantiles[0], 2 * (before.quantiles[2] - before.quantiles[0]));
}

TEST(ArimaPredictor, NineOfTenValuesAreBelowTheNinetiethBound) {
  Rng rng(9);
  std::unique_ptr<Predictor> predictor = make_arima_predictor({});
  double state = 0;
  int below = 0;
  int scored = 0;
  for (int i = 0; i < 700; ++i) {
    state = 0.8 * state + 10 * normal(rng);
    const double value = 1000 + state;
    if (i >= 100) {
      ++scored;
      below += value <= predictor->predict(kHorizons, kLevels)[0].quantiles[2] ? 1 : 0;
    }
    predictor->observe(value);
  }
  // Three deviations of a binomial proportion: 0.9 +- 0.037.
  EXPECT_NEAR(static_cast<double>(below) / scored, 0.9, 0.037);
}

TEST(ArimaPredictor, LoadsAreNotNegativeUnlessTheyMayBe) {
  PredictorOptions options;
  options.non_negative = false;
  std::unique_ptr<Predictor> load = make_arima_predictor({});
  std::unique_ptr<Predictor> any = make_arima_predictor(options);
  for (int i = 0; i < 30; ++i) {
    load->observe(30 - i);
    any->observe(30 - i);
  }
  EXPECT_EQ(load->predict(kHorizons, kLevels)[2].mean, 0);
  EXPECT_LT(any->predict(kHorizons, kLevels)[2].mean, -5);
}

}  // namespace
}  // namespace flexpert::forecast
