#include "forecast/holt_winters.h"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::forecast {
namespace {

constexpr SmoothingShape kSimple{};
constexpr SmoothingShape kHolt{true, false, Season::kNone, 0};
constexpr SmoothingShape kDamped{true, true, Season::kNone, 0};

/// A cycle of 12 steps around a rising level.
std::vector<double> seasonal_series(std::size_t n, bool multiplicative) {
  Rng rng(9);
  std::vector<double> out;
  for (std::size_t t = 0; t < n; ++t) {
    const double level = 100 + 0.5 * static_cast<double>(t);
    const double wave = std::sin(static_cast<double>(t) * 2 * std::numbers::pi / 12);
    out.push_back((multiplicative ? level * (1 + 0.3 * wave) : level + 30 * wave) + rng.uniform() - 0.5);
  }
  return out;
}

TEST(FitSmoothing, AStraightLineIsContinued) {
  std::vector<double> line;
  for (int i = 0; i < 30; ++i) line.push_back(10 + 3 * i);
  const auto fit = fit_smoothing(kHolt, line);
  ASSERT_TRUE(fit);
  EXPECT_NEAR(fit->forecast(1), 100, 1e-6);
  EXPECT_NEAR(fit->forecast(6), 115, 1e-6);
}

TEST(FitSmoothing, AConstantIsContinuedByEveryShape) {
  const std::vector<double> values(20, 42.0);
  for (const SmoothingShape& shape : {kSimple, kHolt, kDamped, SmoothingShape{true, true, Season::kMultiplicative, 4}}) {
    const auto fit = fit_smoothing(shape, values);
    ASSERT_TRUE(fit);
    EXPECT_NEAR(fit->forecast(6), 42, 1e-6);
  }
}

TEST(FitSmoothing, AStepIsFollowedWithFullWeightLikeStatsmodels) {
  std::vector<double> step(30, 50.0);
  step.resize(60, 150.0);
  const auto fit = fit_smoothing(kSimple, step);
  ASSERT_TRUE(fit);
  EXPECT_NEAR(fit->sse, 10000, 0.01);
  EXPECT_NEAR(fit->parameters.level_weight, 1, 1e-5);
  EXPECT_NEAR(fit->forecast(1), 150, 1e-3);
}

TEST(FitSmoothing, WeightsStayWithinTheirBounds) {
  Rng rng(4);
  std::vector<double> values;
  for (int i = 0; i < 80; ++i) values.push_back(50 + 40 * rng.uniform() + (i % 11 == 0 ? 300 : 0));
  for (const SmoothingShape& shape : {kSimple, kHolt, kDamped, SmoothingShape{true, true, Season::kAdditive, 7}}) {
    const auto fit = fit_smoothing(shape, values);
    ASSERT_TRUE(fit);
    const SmoothingParameters& p = fit->parameters;
    EXPECT_TRUE(p.level_weight > 0 && p.level_weight < 1);
    EXPECT_LE(p.trend_weight, p.level_weight);
    EXPECT_LE(p.season_weight, 1 - p.level_weight + 1e-12);
    EXPECT_TRUE(!shape.damped || (p.damping >= 0.8 && p.damping <= 0.995));
  }
}

TEST(FitSmoothing, ASeasonIsContinued) {
  for (const bool multiplicative : {false, true}) {
    const std::vector<double> all = seasonal_series(108, multiplicative);
    const SmoothingShape shape{true, false, multiplicative ? Season::kMultiplicative : Season::kAdditive, 12};
    const auto fit = fit_smoothing(shape, std::span(all).first(96));
    ASSERT_TRUE(fit);
    for (std::size_t h = 1; h <= 12; ++h) EXPECT_NEAR(fit->forecast(h), all[95 + h], 4) << h;
  }
}

TEST(FitSmoothing, AGapCountsAsWhatWasExpected) {
  std::vector<double> line;
  for (int i = 0; i < 30; ++i) line.push_back(i == 20 ? std::nan("") : 10 + 3 * i);
  const auto fit = fit_smoothing(kHolt, line);
  ASSERT_TRUE(fit);
  EXPECT_NEAR(fit->forecast(1), 100, 1e-6);
}

TEST(FitSmoothing, RefusesWhatItCannotFitSayingWhy) {
  const auto few = fit_smoothing(kHolt, std::vector<double>{1, 2});
  ASSERT_FALSE(few);
  EXPECT_NE(few.error().message.find("values: 2 of them are too few"), std::string::npos);
  const auto zero = fit_smoothing({false, false, Season::kMultiplicative, 4}, std::vector<double>(20, 0.0));
  ASSERT_FALSE(zero);
  EXPECT_NE(zero.error().message.find("needs values above 0"), std::string::npos);
  EXPECT_FALSE(fit_smoothing({false, false, Season::kAdditive, 1}, std::vector<double>(20, 1.0)));
}

TEST(InitialSmoothing, IsALineThroughTheFirstTen) {
  std::vector<double> values;
  for (int i = 0; i < 12; ++i) values.push_back(5 + 2 * i);
  const SmoothingParameters p = initial_smoothing(kHolt, values);
  EXPECT_NEAR(p.level, 3, 1e-12);
  EXPECT_NEAR(p.trend, 2, 1e-12);
}

}  // namespace
}  // namespace flexpert::forecast
