#include "forecast/mixture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "forecast/constant_predictor.h"
#include "forecast/evaluation.h"

namespace flexpert::forecast {
namespace {

constexpr std::array<std::size_t, 3> kHorizons = {1, 3, 6};
constexpr std::array<double, 3> kLevels = {0.1, 0.5, 0.9};
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double normal(Rng& rng) { return std::sqrt(-2 * std::log(1 - rng.uniform())) * std::cos(6.283185307179586 * rng.uniform()); }

std::unique_ptr<Predictor> mixture(double step_s = 600, bool non_negative = true) {
  return make_mixture_predictor({.name = "mixture", .step_s = step_s, .non_negative = non_negative});
}

std::vector<double> series(std::size_t count, std::uint64_t seed, const std::function<double(std::size_t, Rng&)>& value) {
  Rng rng(seed);
  std::vector<double> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(value(i, rng));
  return out;
}

std::vector<double> daily(std::size_t count, std::uint64_t seed) {
  return series(count, seed, [](std::size_t i, Rng& rng) {
    return (300 + 200 * std::sin(6.283185307179586 * static_cast<double>(i) / 144)) * std::exp(0.06 * normal(rng));
  });
}

std::vector<double> walk(std::size_t count, std::uint64_t seed) {
  double level = 400;
  return series(count, seed, [&level](std::size_t, Rng& rng) { return level = std::max(0.0, level + 5 * normal(rng)); });
}

EvaluationScore score(Predictor& predictor, const std::vector<double>& values) {
  return evaluate(predictor, values, {.horizons = {1, 3, 6}, .warm_up = 200, .level = 0.9, .origin_stride = 1});
}

TEST(Mixture, ExpectsNothingBeforeTheFirstValue) {
  const auto predictions = mixture()->predict(kHorizons, kLevels);
  ASSERT_EQ(predictions.size(), 3U);
  EXPECT_EQ(predictions[0].mean, 0);
  EXPECT_EQ(predictions[2].quantiles, (std::vector<double>{0, 0, 0}));
}

TEST(Mixture, AConstantSeriesIsExpectedToStay) {
  const auto predictor = mixture();
  for (int i = 0; i < 300; ++i) predictor->observe(42);
  for (const Prediction& prediction : predictor->predict(kHorizons, kLevels)) {
    EXPECT_DOUBLE_EQ(prediction.mean, 42);
    for (const double quantile : prediction.quantiles) EXPECT_NEAR(quantile, 42, 1e-9);
  }
}

TEST(Mixture, IsHardlyWorseThanTheLastValueOnARandomWalk) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const std::vector<double> values = walk(900, seed);
    const auto constant = make_constant_predictor({.name = "constant", .step_s = 600, .non_negative = true});
    const EvaluationScore ours = score(*mixture(), values);
    const EvaluationScore theirs = score(*constant, values);
    for (std::size_t h = 0; h < 3; ++h) EXPECT_LE(ours.horizons[h].wape, 1.015 * theirs.horizons[h].wape) << seed << " " << h;
  }
}

TEST(Mixture, IsMuchBetterThanTheLastValueOnADailyCycle) {
  const std::vector<double> values = daily(900, 5);
  const auto constant = make_constant_predictor({.name = "constant", .step_s = 600, .non_negative = true});
  const EvaluationScore ours = score(*mixture(), values);
  const EvaluationScore theirs = score(*constant, values);
  EXPECT_LE(ours.horizons[1].wape, 0.8 * theirs.horizons[1].wape);
  EXPECT_LE(ours.horizons[2].wape, 0.6 * theirs.horizons[2].wape);
}

TEST(Mixture, BoundsCoverWhatTheyPromiseWhateverTheSeries) {
  const std::vector<std::vector<double>> all = {
      walk(900, 11), daily(900, 12),
      series(900, 13, [](std::size_t, Rng& rng) { return rng.uniform() < 0.5 ? 0.0 : rng.exponential(10); }),
      series(900, 14, [](std::size_t i, Rng& rng) { return (i / 90 % 2 == 0 ? 100.0 : 350.0) * std::exp(0.05 * normal(rng)); }),
      series(900, 15, [](std::size_t, Rng& rng) { return 100 * (rng.uniform() < 0.03 ? 4 : 1) + 5 * normal(rng); })};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto predictor = mixture();
    for (const HorizonScore& horizon : score(*predictor, all[i]).horizons) {
      EXPECT_GE(horizon.coverage, 0.88) << "series " << i << " horizon " << horizon.horizon;
      EXPECT_LE(horizon.coverage, 0.92) << "series " << i << " horizon " << horizon.horizon;
    }
  }
}

TEST(Mixture, BoundsCoverAtStepsOfAMinuteAndOfAnHourToo) {
  const std::vector<double> values = series(1200, 16, [](std::size_t, Rng& rng) { return 100 + 10 * normal(rng); });
  for (const double step_s : {60.0, 3600.0}) {
    const auto predictor = mixture(step_s);
    for (const HorizonScore& horizon : score(*predictor, values).horizons) EXPECT_NEAR(horizon.coverage, 0.9, 0.02) << step_s;
  }
}

TEST(Mixture, BoundsOfALoadThatComesAndGoesStayInProportion) {
  bool on = false;
  const std::vector<double> values = series(900, 17, [&on](std::size_t, Rng& rng) {
    if (rng.uniform() < (on ? 1 / 15.0 : 1 / 30.0)) on = !on;
    return on ? std::max(0.0, 50 + 8 * normal(rng)) : 0.0;
  });
  const double largest = *std::max_element(values.begin(), values.end());
  const auto predictor = mixture();
  for (std::size_t i = 0; i < values.size(); ++i) {
    predictor->observe(values[i]);
    if (i < 200) continue;
    for (const Prediction& prediction : predictor->predict(kHorizons, kLevels)) ASSERT_LE(prediction.quantiles[2], 20 * largest) << i;
  }
}

TEST(Mixture, BoundsCoverSoonAfterALongRest) {
  Rng rng(18);
  const auto predictor = mixture();
  for (int i = 0; i < 2000; ++i) predictor->observe(100);
  std::size_t covered = 0;
  for (int i = 0; i < 300; ++i) {
    const double bound = predictor->predict(kHorizons, kLevels)[0].quantiles[2];
    const double value = 100 + 5 * normal(rng);
    covered += value <= bound ? 1 : 0;
    predictor->observe(value);
  }
  EXPECT_GE(covered, 240U);
}

TEST(Mixture, RestoredStateContinuesBitForBit) {
  std::vector<double> values = daily(700, 21);
  for (std::size_t i = 0; i < values.size(); i += 17) values[i] = kNan;
  for (const std::size_t cut : {0U, 1U, 7U, 150U, 433U}) {
    const auto first = mixture();
    for (std::size_t i = 0; i < cut; ++i) first->observe(values[i]);
    StateWriter writer;
    first->save(writer);
    const std::string text = writer.take();
    EXPECT_LE(text.size(), 32U << 10);
    const auto second = mixture();
    StateReader reader(text);
    ASSERT_TRUE(second->restore(reader));
    EXPECT_TRUE(reader.at_end());
    for (std::size_t i = cut; i < values.size(); ++i) {
      first->observe(values[i]);
      second->observe(values[i]);
    }
    const auto a = first->predict(kHorizons, kLevels);
    const auto b = second->predict(kHorizons, kLevels);
    for (std::size_t h = 0; h < 3; ++h) {
      EXPECT_EQ(a[h].mean, b[h].mean) << cut;
      EXPECT_EQ(a[h].quantiles, b[h].quantiles) << cut;
    }
  }
}

TEST(Mixture, StateStaysSmallAtEveryStep) {
  for (const double step_s : {1.0, 2.0, 3.0, 7.0, 7.6, 10.0, 11.0, 60.0, 600.0, 3600.0}) {
    const auto predictor = mixture(step_s, false);
    Rng rng(3);
    for (int i = 0; i < 3000; ++i) predictor->observe(-1e-5 * rng.uniform());
    StateWriter writer;
    predictor->save(writer);
    EXPECT_LE(writer.take().size(), 32U << 10) << step_s;
  }
}

TEST(Mixture, DamagedStateIsRefusedAndLeavesAPredictorAsNew) {
  const auto predictor = mixture();
  for (const double value : daily(300, 31)) predictor->observe(value);
  StateWriter writer;
  predictor->save(writer);
  const std::string text = writer.take();
  for (const std::size_t kept : {0U, 5U, 40U, 900U, 4000U}) {
    const std::string part = text.substr(0, kept);
    StateReader reader(part);
    EXPECT_FALSE(predictor->restore(reader)) << kept;
    EXPECT_EQ(predictor->predict(kHorizons, kLevels)[0].mean, 0);
  }
  StateReader other(text);
  EXPECT_FALSE(mixture(60)->restore(other));
}

TEST(Mixture, ExtremeValuesStayFinite) {
  const auto predictor = mixture(600, false);
  Rng rng(9);
  for (int i = 0; i < 400; ++i) {
    const double kind = rng.uniform();
    predictor->observe(kind < 0.2 ? kNan : kind < 0.4 ? 1e308 : kind < 0.6 ? -1e308 : kind < 0.8 ? 1e-308 : 0);
    for (const Prediction& prediction : predictor->predict(kHorizons, kLevels)) {
      ASSERT_TRUE(std::isfinite(prediction.mean)) << i;
      for (const double quantile : prediction.quantiles) ASSERT_TRUE(std::isfinite(quantile)) << i;
    }
  }
}

TEST(Mixture, QuantilesAscendAtAnyHorizonAndLoadsAreNeverNegative) {
  const auto predictor = mixture(60);
  Rng rng(10);
  for (int i = 0; i < 500; ++i) predictor->observe(rng.uniform() < 0.7 ? 0 : rng.exponential(3));
  const std::vector<std::size_t> horizons = {1, 2, 3, 5, 8, 11, 29, 45, 60, 61, 500};
  const std::vector<double> levels = {0.01, 0.07, 0.3, 0.5, 0.6, 0.9, 0.97, 0.999};
  for (const Prediction& prediction : predictor->predict(horizons, levels)) {
    EXPECT_GE(prediction.mean, 0);
    EXPECT_GE(prediction.quantiles.front(), 0);
    EXPECT_TRUE(std::is_sorted(prediction.quantiles.begin(), prediction.quantiles.end()));
  }
}

}  // namespace
}  // namespace flexpert::forecast
