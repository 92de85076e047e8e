#include <array>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "forecast/conformal.h"
#include "forecast/evaluation.h"
#include "forecast/evaluation_field.h"
#include "forecast/member_regression.h"
#include "forecast/member_rounding.h"
#include "forecast/member_season.h"
#include "forecast/mixture_weights.h"
#include "forecast/warm_start.h"

namespace flexpert::forecast {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(MixtureWeights, StartsAtTheAnchorAndFollowsTheBetterExpert) {
  MixtureWeights weights(3);
  EXPECT_GT(weights.weights()[0], 0.6);
  Rng rng(1);
  for (int i = 0; i < 300; ++i) {
    const double outcome = rng.uniform() - 0.5;
    const std::array<double, 3> said = {0.0, outcome * 0.8, 1.0};
    weights.learn(said, weights.blend(said), outcome, 1);
  }
  EXPECT_GT(weights.weights()[1], 0.9);
}

TEST(MixtureWeights, StaysAtTheAnchorWithoutEvidence) {
  MixtureWeights weights(5);
  Rng rng(2);
  for (int i = 0; i < 500; ++i) {
    std::array<double, 5> said{};
    for (std::size_t k = 1; k < said.size(); ++k) said[k] = rng.uniform() - 0.5;
    weights.learn(said, weights.blend(said), rng.uniform() - 0.5, 1);
  }
  EXPECT_GT(weights.weights()[0], 0.6);
}

TEST(MemberRegression, FindsCoefficientsAndStartsAtZero) {
  MemberRegression regression(2, 1, 1000);
  const std::array<double, 2> probe = {1, 1};
  EXPECT_EQ(regression.predict(probe), 0);
  Rng rng(3);
  for (int i = 0; i < 500; ++i) {
    const std::array<double, 2> features = {rng.uniform() - 0.5, rng.uniform() - 0.5};
    regression.learn(features, 0.7 * features[0] - 0.2 * features[1]);
  }
  EXPECT_NEAR(regression.predict(probe), 0.5, 0.02);
}

TEST(MemberSeason, KnowsYesterdayOnlyUntilItIsToday) {
  MemberSeason season(3600, 86400, 600, 1);
  for (int i = 0; i < 30; ++i) {
    if (i < 22) {
      EXPECT_FALSE(season.at(i + 2).has_value()) << i;
    }
    season.observe(i, 100 + i);
    if (i >= 26) {
      EXPECT_EQ(season.at(i), 100 + i - 24);
      EXPECT_EQ(season.at(i - 1), 100 + i - 1 - 24);
    }
  }
  EXPECT_EQ(season.at(34), 110);
}

TEST(MemberSeason, FineStepsAreInterpolatedBetweenBuckets) {
  MemberSeason season(60, 86400, 600, 1);
  for (int i = 0; i < 1440 + 25; ++i) season.observe(i, i % 1440);
  EXPECT_NEAR(season.at(1440 + 500).value(), 500, 1e-9);
}

TEST(MemberRounding, KeepsSevenDigitsOfAnySize) {
  for (const double value : {1.23456789e-12, -98765.4321, 3.3e250, 1e-300, 0.0}) {
    const double rounded = rounded_digits(value);
    EXPECT_NEAR(rounded, value, std::abs(value) * 1e-6 + 1e-290);
    EXPECT_EQ(rounded_digits(rounded), rounded);
  }
}

TEST(Conformal, SharesOfValuesBelowTheBoundsAreTheLevels) {
  Conformal conformal;
  Rng rng(4);
  std::array<int, Conformal::kLevels.size()> above{};
  constexpr int kSteps = 2000;
  for (int i = 0; i < kSteps; ++i) {
    conformal.advance();
    const Conformal::Bounds bounds = conformal.bounds();
    conformal.issued();
    EXPECT_EQ(conformal.bounds(), bounds);
    const double score = rng.exponential(i < 1000 ? 1 : 2) - 1;
    std::array<bool, Conformal::kLevels.size()> missed{};
    for (std::size_t k = 0; k < missed.size(); ++k) above[k] += (missed[k] = score > bounds[k]) ? 1 : 0;
    conformal.resolve(score, missed, true);
  }
  for (std::size_t k = 0; k < above.size(); ++k) EXPECT_NEAR(1.0 - above[k] / static_cast<double>(kSteps), Conformal::kLevels[k], 0.015);
}

TEST(Evaluation, ScoresOnlyKnownTargetsAfterTheWarmUp) {
  const std::vector<double> values = {10, 10, 20, kNan, 30, 30};
  PredictorOptions options;
  options.name = "constant";
  const auto predictor = make_predictor(options);
  ASSERT_TRUE(predictor);
  const auto score = evaluate(**predictor, values, {.horizons = {1, 2}, .warm_up = 2, .level = 0.9, .origin_stride = 1});
  // Origins after 2, 3, 4 and 5 values; the last value is 10, 20, 20, 30.
  EXPECT_EQ(score.horizons[0].scored, 3U);  // 20, 30, 30
  EXPECT_DOUBLE_EQ(score.horizons[0].wape, (10.0 + 10 + 0) / 80);
  EXPECT_EQ(score.horizons[1].scored, 2U);  // 30 from 20, 30 from 20
  EXPECT_DOUBLE_EQ(score.horizons[1].wape, 20.0 / 60);
  EXPECT_DOUBLE_EQ(score.horizons[1].bias, -20.0 / 60);
}

TEST(Evaluation, WarmUpIsTwoDaysOrAQuarter) {
  EXPECT_EQ(default_warm_up(1008, 600), 252U);
  EXPECT_EQ(default_warm_up(5000, 600), 288U);
  EXPECT_EQ(default_warm_up(20, 600), 10U);
}

TEST(EvaluationField, MakesPredictorsAndBaselinesAndNamesThemInErrors) {
  for (const std::string& name : baseline_names()) EXPECT_TRUE(make_contestant({.name = name, .step_s = 60, .non_negative = true})) << name;
  const auto unknown = make_contestant({.name = "oracle", .step_s = 60, .non_negative = true});
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("oracle"), std::string::npos);
  EXPECT_NE(unknown.error().message.find("kalman_fixed"), std::string::npos);
  EXPECT_FALSE(make_contestant({.name = "arima_frozen", .step_s = -1, .non_negative = true}));
}

TEST(WarmStart, ResamplesUpAndDown) {
  EXPECT_EQ(resampled(std::vector<double>{1, 3, 5, 7}, 60, 120), (std::vector<double>{2, 6}));
  EXPECT_EQ(resampled(std::vector<double>{9, 1, 3, 5, 7}, 60, 120), (std::vector<double>{2, 6}));
  EXPECT_EQ(resampled(std::vector<double>{0, 4}, 120, 60), (std::vector<double>{0, 1, 3, 4}));
  const auto gaps = resampled(std::vector<double>{1, kNan, kNan, kNan}, 60, 120);
  ASSERT_EQ(gaps.size(), 2U);
  EXPECT_EQ(gaps[0], 1);
  EXPECT_TRUE(std::isnan(gaps[1]));
}

TEST(WarmStart, GivesAPredictorAPast) {
  PredictorOptions options;
  options.name = "constant";
  const auto predictor = make_predictor(options);
  ASSERT_TRUE(predictor);
  ASSERT_TRUE(
      warm_start(**predictor, std::vector<double>{1, 2}, {.series_step_s = 600, .predictor_step_s = 60, .scale = 60, .pause_s = 90000}));
  const std::array<std::size_t, 1> horizons = {1};
  EXPECT_DOUBLE_EQ((*predictor)->predict(horizons, {})[0].mean, 120);
  const auto refused =
      warm_start(**predictor, std::vector<double>{1}, {.series_step_s = 0, .predictor_step_s = 60, .scale = 1, .pause_s = 0});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("series_step_s"), std::string::npos);
}

TEST(WarmStart, WrittenPredictorsContinue) {
  for (const std::string name : {"mixture", "constant", "kalman_fixed"}) {
    const PredictorOptions options{.name = name, .step_s = 600, .non_negative = true};
    const auto predictor = make_contestant(options);
    ASSERT_TRUE(predictor);
    for (int i = 0; i < 50; ++i) (*predictor)->observe(100 + i % 7);
    const std::string text = write_predictor(**predictor, options);
    const auto stored = read_predictor(text);
    ASSERT_TRUE(stored) << stored.error().message;
    const std::array<std::size_t, 2> horizons = {1, 5};
    const std::array<double, 1> levels = {0.9};
    const auto a = (*predictor)->predict(horizons, levels);
    const auto b = stored->predictor->predict(horizons, levels);
    EXPECT_EQ(a[1].mean, b[1].mean);
    EXPECT_EQ(a[1].quantiles, b[1].quantiles);
    EXPECT_FALSE(read_predictor(text + "1 "));
    EXPECT_FALSE(read_predictor(text.substr(0, text.size() / 2)));
  }
}

}  // namespace
}  // namespace flexpert::forecast
