#include <cmath>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "forecast/predictor.h"

namespace flexpert::forecast {
namespace {

const std::vector<std::size_t> kHorizons = {1, 2, 5, 17, 100};
const std::vector<double> kLevels = {0.05, 0.5, 0.9, 0.99};

struct PredictorTest : testing::TestWithParam<std::string> {
  static std::unique_ptr<Predictor> make(double step_s = 900) { return *make_predictor({GetParam(), step_s, true}); }
};

void expect_sound(const Predictor& predictor) {
  const auto predictions = predictor.predict(kHorizons, kLevels);
  ASSERT_EQ(predictions.size(), kHorizons.size());
  for (const Prediction& prediction : predictions) {
    EXPECT_TRUE(std::isfinite(prediction.mean) && prediction.mean >= 0) << prediction.mean;
    ASSERT_EQ(prediction.quantiles.size(), kLevels.size());
    double before = 0;
    for (const double quantile : prediction.quantiles) {
      EXPECT_TRUE(std::isfinite(quantile) && quantile >= before) << quantile << " after " << before;
      before = quantile;
    }
  }
}

std::string state_of(const Predictor& predictor) {
  StateWriter writer;
  predictor.save(writer);
  return writer.take();
}

/// A noisy day cycle with outages (zeros), gaps and idle stretches.
std::vector<double> rough_load(std::size_t steps, double scale) {
  Rng rng(7);
  std::vector<double> out;
  for (std::size_t t = 0; t < steps; ++t) {
    double value = scale * (2 + std::sin(static_cast<double>(t) * 0.0654) + 0.2 * rng.uniform());
    if (t % 53 < 3) value = 0;
    if (t % 41 == 7) value = std::nan("");
    if (t > 120 && t < 150) value = 0;
    out.push_back(value);
  }
  return out;
}

TEST_P(PredictorTest, KnowsItsNameAndPredictsNothingBeforeTheFirstValue) {
  const auto predictor = make();
  EXPECT_EQ(predictor->name(), GetParam());
  predictor->observe(std::nan(""));
  for (const Prediction& prediction : predictor->predict(kHorizons, kLevels)) {
    EXPECT_EQ(prediction.mean, 0);
    EXPECT_EQ(prediction.quantiles, std::vector<double>(kLevels.size(), 0.0));
  }
}

TEST_P(PredictorTest, OnePointIsItsForecast) {
  const auto predictor = make();
  predictor->observe(40);
  expect_sound(*predictor);
  EXPECT_NEAR(predictor->predict(kHorizons, {})[1].mean, 40, 1e-9);
}

TEST_P(PredictorTest, ConstantInputIsPredictedAsItIs) {
  const auto predictor = make();
  for (int i = 0; i < 200; ++i) predictor->observe(42);
  for (const Prediction& prediction : predictor->predict(kHorizons, kLevels)) {
    EXPECT_NEAR(prediction.mean, 42, 0.05);
    EXPECT_NEAR(prediction.quantiles.back(), 42, 0.5);
  }
}

TEST_P(PredictorTest, IdleInputIsPredictedAsIdle) {
  const auto predictor = make();
  for (int i = 0; i < 150; ++i) predictor->observe(0);
  for (const Prediction& prediction : predictor->predict(kHorizons, kLevels)) EXPECT_EQ(prediction.mean, 0);
}

TEST_P(PredictorTest, IsSoundAtEveryScaleWithGapsAndOutages) {
  for (const double scale : {1e-300, 1e-9, 1.0, 1e9, 1e300}) {
    const auto predictor = make();
    int step = 0;
    for (const double value : rough_load(260, scale)) {
      predictor->observe(value);
      if (++step % 20 < 2) expect_sound(*predictor);
    }
  }
}

TEST_P(PredictorTest, SurvivesScalesThatJump) {
  const auto predictor = make();
  Rng rng(3);
  for (int i = 0; i < 150; ++i) {
    predictor->observe(std::pow(10, 200 * rng.uniform() - 100));
    if (i % 10 == 0) expect_sound(*predictor);
  }
}

TEST_P(PredictorTest, ContinuesBitForBitAfterSaveAndRestore) {
  const std::vector<double> load = rough_load(300, 100);
  const auto original = make();
  for (std::size_t t = 0; t < 170; ++t) original->observe(load[t]);
  const std::string saved = state_of(*original);
  EXPECT_LE(saved.size(), 32U * 1024);
  const auto restored = make();
  StateReader reader(saved);
  ASSERT_TRUE(restored->restore(reader)) << reader.result().error().message;
  const auto copy = original->clone();
  for (std::size_t t = 170; t < load.size(); ++t) {
    for (Predictor* predictor : {original.get(), restored.get(), copy.get()}) predictor->observe(load[t]);
  }
  EXPECT_EQ(state_of(*original), state_of(*restored));
  EXPECT_EQ(state_of(*original), state_of(*copy));
  const auto a = original->predict(kHorizons, kLevels);
  const auto b = restored->predict(kHorizons, kLevels);
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].mean, b[i].mean);
    EXPECT_EQ(a[i].quantiles, b[i].quantiles);
  }
}

TEST_P(PredictorTest, StateOfADayAtShortStepsIsBounded) {
  const auto predictor = make(60);
  Rng rng(5);
  for (int i = 0; i < 1500; ++i) predictor->observe(1e-200 * rng.uniform());
  EXPECT_LE(state_of(*predictor).size(), 32U * 1024);
}

TEST_P(PredictorTest, BrokenStateIsRefusedAndLeavesItAsNew) {
  const auto original = make();
  for (const double value : rough_load(100, 10)) original->observe(value);
  const std::string saved = state_of(*original);
  Rng rng(11);
  for (int i = 0; i < 60; ++i) {
    std::string broken = saved.substr(0, rng.below(saved.size() / 2));
    const auto predictor = make();
    predictor->observe(5);
    StateReader reader(broken);
    EXPECT_FALSE(predictor->restore(reader));
    EXPECT_EQ(predictor->predict(kHorizons, {})[0].mean, 0);
    std::string changed = saved;
    changed[rng.below(changed.size())] = "0123456789e-. n"[rng.below(15)];
    StateReader other(changed);
    if (!predictor->restore(other)) continue;
    predictor->observe(7);
    expect_sound(*predictor);
  }
}

INSTANTIATE_TEST_SUITE_P(All, PredictorTest, testing::ValuesIn(predictor_names()), [](const auto& test) { return test.param; });

TEST(MakePredictor, RefusesAnUnknownNameListingThoseKnown) {
  const auto made = make_predictor({"oracle", 60, true});
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("name: unknown predictor \"oracle\""), std::string::npos);
  EXPECT_NE(made.error().message.find("seasonal_naive"), std::string::npos);
}

TEST(MakePredictor, RefusesAStepThatIsNotPositive) {
  for (const double step : {0.0, -1.0, double{NAN}, double{HUGE_VAL}}) {
    const auto made = make_predictor({"constant", step, true});
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().message.find("step_s"), std::string::npos);
  }
}

}  // namespace
}  // namespace flexpert::forecast
