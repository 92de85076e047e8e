#include "forecast/kalman.h"

#include <cmath>

#include <gtest/gtest.h>

namespace flexpert::forecast {
namespace {

double next_of(const std::vector<double>& values) {
  TrendFilter filter{TrendNoise{}};
  for (const double value : values) filter.observe(value);
  return filter.forecast(1);
}

TEST(TrendFilter, AgreesWithTheReferenceOnALine) {
  std::vector<double> line;
  for (int i = 0; i < 30; ++i) line.push_back(10 + 3 * i);
  EXPECT_NEAR(next_of(line), 100.00000866307857, 1e-9);
}

TEST(TrendFilter, GrowsLessCertainInAGapAndContinuesItsTrend) {
  TrendFilter filter{TrendNoise{}};
  for (int i = 0; i < 40; ++i) filter.observe(10 + 3 * i);
  const double before = filter.next_variance();
  for (int i = 0; i < 5; ++i) filter.observe(std::nan(""));
  EXPECT_GT(filter.next_variance(), before);
  EXPECT_NEAR(filter.forecast(1), 10 + 3 * 45, 0.01);
}

TEST(TrendFilter, LongGapsLeaveItSound) {
  TrendFilter filter{TrendNoise{}};
  filter.observe(5);
  for (int i = 0; i < 200000; ++i) filter.observe(std::nan(""));
  filter.observe(9);
  filter.observe(9);
  EXPECT_NEAR(filter.forecast(1), 9, 1);
}

TEST(TrendFilter, DampingBoundsTheForecast) {
  TrendFilter filter{TrendNoise{}};
  for (int i = 0; i < 40; ++i) filter.observe(3 * i);
  EXPECT_LT(filter.forecast(1000, 0.9), 3 * 39 + 3 * 10);
}

/// The forecasts of the default predictor scale with the series exactly (powers of two), and those of the baseline do not.
TEST(KalmanPredictor, IsFreeOfScaleWhereTheBaselineIsNot) {
  const auto forecast = [](std::unique_ptr<Predictor> predictor, double scale) {
    for (int i = 0; i < 60; ++i) predictor->observe(scale * (50 + 10 * std::sin(i * 0.3) + (i * 7 % 5)));
    return predictor->predict(std::vector<std::size_t>{3}, {})[0].mean / scale;
  };
  const PredictorOptions options{"kalman", 60, true};
  EXPECT_EQ(forecast(make_kalman_predictor(options), 1), forecast(make_kalman_predictor(options), 0x1p-60));
  EXPECT_EQ(make_fixed_kalman_predictor(options)->name(), "kalman_fixed");
}

}  // namespace
}  // namespace flexpert::forecast
