#include "forecast/prophet.h"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "forecast/prophet_posterior.h"
#include "forecast/prophet_predictor.h"

namespace flexpert::forecast {
namespace {

std::vector<double> times(std::size_t n, double step_s) {
  std::vector<double> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(1704067200 + static_cast<double>(i) * step_s);
  return out;
}

std::vector<double> daily_wave(std::size_t n, double noise) {
  Rng rng(21);
  std::vector<double> out;
  for (std::size_t i = 0; i < n; ++i) {
    out.push_back(200 + 60 * std::sin(static_cast<double>(i) * 2 * std::numbers::pi / 96) + noise * (rng.uniform() - 0.5));
  }
  return out;
}

TEST(FitProphet, AConstantIsItsOffset) {
  const auto fit = fit_prophet(times(20, 180), std::vector<double>(20, 42.0));
  ASSERT_TRUE(fit);
  EXPECT_EQ(fit->k, 0);
  EXPECT_EQ(fit->m, 1);
  EXPECT_EQ(fit->changepoints.size(), 15U);
  EXPECT_EQ(fit->forecast(1.8e9), 42);
}

TEST(FitProphet, ALineIsContinuedHoweverLong) {
  for (const std::size_t n : {30U, 150U}) {
    std::vector<double> line;
    for (std::size_t i = 0; i < n; ++i) line.push_back(10 + 3 * static_cast<double>(i));
    const auto fit = fit_prophet(times(n, 180), line);
    ASSERT_TRUE(fit);
    const double ahead = 10 + 3 * static_cast<double>(n + 5);
    EXPECT_NEAR(fit->forecast(1704067200 + static_cast<double>(n + 5) * 180), ahead, 0.01 * ahead);
  }
}

TEST(FitProphet, ADailyShapeIsFoundByBothSearches) {
  const std::vector<double> all = daily_wave(384, 4);
  const std::vector<double> t = times(384, 900);
  for (const ProphetSearch search : {ProphetSearch::kAsProphet, ProphetSearch::kMaximum}) {
    const auto fit = fit_prophet(std::span(t).first(288), std::span(all).first(288), search);
    ASSERT_TRUE(fit);
    EXPECT_EQ(fit->beta.size(), 8U);
    for (std::size_t i = 288; i < 384; ++i) EXPECT_NEAR(fit->forecast(t[i]), all[i], 8) << i;
  }
}

TEST(FitProphet, GapsAreLeftOut) {
  std::vector<double> values = daily_wave(288, 4);
  for (std::size_t i = 40; i < 80; ++i) values[i] = std::nan("");
  const auto fit = fit_prophet(times(288, 900), values);
  ASSERT_TRUE(fit);
  EXPECT_NEAR(fit->forecast(1704067200 + 288 * 900.0), 200, 8);
}

TEST(AutomaticSeasonalities, AreSwitchedOnByTheLength) {
  EXPECT_TRUE(automatic_seasonalities(times(191, 900)).empty());
  EXPECT_EQ(automatic_seasonalities(times(193, 900)).size(), 1U);
  const auto two_weeks = automatic_seasonalities(times(15 * 24, 3600));
  ASSERT_EQ(two_weeks.size(), 2U);
  EXPECT_EQ(two_weeks[0].order, 3U);
  EXPECT_EQ(automatic_seasonalities(times(740, 86400)).size(), 2U);
}

TEST(FitProphet, RefusesWhatItCannotFitSayingWhy) {
  EXPECT_FALSE(fit_prophet(times(3, 60), std::vector<double>{1, 2}));
  EXPECT_FALSE(fit_prophet(times(3, 60), std::vector<double>{std::nan(""), 2, std::nan("")}));
  const auto unordered = fit_prophet(std::vector<double>{5, 5}, std::vector<double>{1, 2});
  ASSERT_FALSE(unordered);
  EXPECT_NE(unordered.error().message.find("times_s: number 1"), std::string::npos);
}

/// At the maximum no small change of a weight or of the noise makes the posterior larger.
TEST(ProphetPosterior, MaximiseLeavesNothingBetterNearby) {
  const std::size_t rows = 60;
  const std::size_t changes = 8;
  ProphetPosterior posterior(rows, 2 + changes);
  std::vector<double> y;
  Rng rng(2);
  std::vector<std::vector<double>> features;
  for (std::size_t i = 0; i < rows; ++i) {
    const double t = static_cast<double>(i) / (rows - 1);
    std::vector<double> row = {t, 1};
    for (std::size_t j = 0; j < changes; ++j) row.push_back(std::max(0.0, t - static_cast<double>(j + 1) / 10));
    std::copy(row.begin(), row.end(), posterior.row(i));
    features.push_back(row);
    y.push_back(std::abs(t - 0.5) + 0.1 * rng.uniform());
  }
  const auto loss = [&](const std::vector<double>& w, double sigma) {
    double out = rows * std::log(sigma) + 2 * sigma * sigma + (w[0] * w[0] + w[1] * w[1]) / 50;
    for (std::size_t j = 0; j < changes; ++j) out += std::abs(w[2 + j]) / 0.05;
    for (std::size_t i = 0; i < rows; ++i) {
      double off = y[i];
      for (std::size_t j = 0; j < w.size(); ++j) off -= w[j] * features[i][j];
      out += off * off / (2 * sigma * sigma);
    }
    return out;
  };
  const auto mode = posterior.maximise(y, changes);
  const double best = loss(mode.weights, mode.sigma);
  for (std::size_t j = 0; j < mode.weights.size(); ++j) {
    for (const double by : {-1e-4, 1e-4}) {
      std::vector<double> moved = mode.weights;
      moved[j] += by;
      EXPECT_GE(loss(moved, mode.sigma), best) << j;
    }
  }
  EXPECT_GE(loss(mode.weights, mode.sigma * 1.001), best);
  EXPECT_GE(loss(mode.weights, mode.sigma * 0.999), best);
}

TEST(ProphetPredictor, FollowsADailyShape) {
  const auto predictor = make_prophet_predictor({"prophet", 900, true});
  const std::vector<double> all = daily_wave(400, 4);
  for (std::size_t i = 0; i < 350; ++i) predictor->observe(all[i]);
  EXPECT_NEAR(predictor->predict(std::vector<std::size_t>{20}, {})[0].mean, all[369], 10);
}

TEST(WindowedProphetPredictor, ForgetsWhatIsOlderThanItsWindow) {
  const auto predictor = make_windowed_prophet_predictor({"prophet", 900, true}, 50);
  for (int i = 0; i < 60; ++i) predictor->observe(1000);
  for (int i = 0; i < 50; ++i) predictor->observe(10);
  EXPECT_NEAR(predictor->predict(std::vector<std::size_t>{5}, {})[0].mean, 10, 1e-9);
}

}  // namespace
}  // namespace flexpert::forecast
