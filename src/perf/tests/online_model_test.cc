#include "perf/online_model.h"

#include <cmath>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::perf {
namespace {

constexpr StepCoefficients kTruth{0.01, 5e-5, 1e-4, 4e-8};
const EngineLimits kLimits{128, 2048, 400'000};

StepSample random_step(Rng& rng, const StepCoefficients& c, double noise = 0.02) {
  StepSample s{2000 * rng.uniform(), 1 + 100 * rng.uniform(), 0, 0};
  s.kv_tokens_read = s.decode_batch * (200 + 3000 * rng.uniform());
  s.seconds = EngineModel(c, kLimits).step_s(s.new_tokens, s.decode_batch, s.kv_tokens_read) * (1 + noise * (rng.uniform() - 0.5));
  return s;
}

TEST(OnlineEngineModel, LearnsFromNothing) {
  OnlineEngineModel online(kLimits, std::nullopt);
  EXPECT_FALSE(online.model().has_value());
  Rng rng(1);
  for (int i = 0; i < 300; ++i) online.observe(random_step(rng, kTruth));
  ASSERT_TRUE(online.model().has_value());
  const StepCoefficients c = online.model()->coefficients();
  EXPECT_NEAR(c.fixed, kTruth.fixed, 0.0015);
  EXPECT_NEAR(c.per_new_token, kTruth.per_new_token, 3e-6);
  EXPECT_LT(online.typical_error(), 0.02);
}

TEST(OnlineEngineModel, LearnsTheCapacityFromIntervalsOfVaryingLoad) {
  const EngineModel real({0.010, 48e-6, 0.13e-3, 60e-9}, kLimits);
  OnlineEngineModel online(kLimits, std::nullopt);
  Rng rng(6);
  const auto noisy = [&](double value) { return value * (0.9 + 0.2 * rng.uniform()); };
  const Workload load{500, 200};
  for (int i = 0; i < 600; ++i) {
    const double rate = 2 + 8 * rng.uniform();
    const LoadPoint point = real.at(rate, load, EngineRole::kAggregated, 0.95);
    online.observe(IntervalMeans{3 * rate, noisy(500), noisy(200), noisy(point.mean_ttft_s), noisy(point.mean_itl_s), std::nullopt, 3},
                   EngineRole::kAggregated);
  }
  const LatencyTargets targets{0.5, 0.03, 0.95};
  const double learned = online.model()->capacity(load, targets, EngineRole::kAggregated);
  EXPECT_NEAR(learned / real.capacity(load, targets, EngineRole::kAggregated), 1, 0.1);
}

TEST(OnlineEngineModel, FollowsAnEngineThatBecomesSlower) {
  OnlineEngineModel online(kLimits, kTruth);
  Rng rng(2);
  for (int i = 0; i < 100; ++i) online.observe(random_step(rng, kTruth));
  StepCoefficients slower = kTruth;
  slower.per_new_token *= 2;
  slower.fixed *= 1.5;
  for (int i = 0; i < 600; ++i) online.observe(random_step(rng, slower));
  const double now = online.model()->step_s(1000, 50, 50'000), truth = EngineModel(slower, kLimits).step_s(1000, 50, 50'000);
  EXPECT_NEAR(now / truth, 1, 0.05);
}

TEST(OnlineEngineModel, IsNotMovedByOutliers) {
  OnlineEngineModel online(kLimits, std::nullopt);
  Rng rng(3);
  for (int i = 0; i < 400; ++i) {
    StepSample s = random_step(rng, kTruth);
    if (i > 20 && i % 10 == 0) s.seconds *= 30;
    online.observe(s);
  }
  EXPECT_GT(online.rejected(), 30U);
  EXPECT_NEAR(online.model()->step_s(1000, 50, 50'000) / EngineModel(kTruth, kLimits).step_s(1000, 50, 50'000), 1, 0.05);
}

TEST(OnlineEngineModel, StaysMonotoneWhateverItSees) {
  OnlineEngineModel online(kLimits, std::nullopt);
  Rng rng(4);
  for (int i = 0; i < 300; ++i) {
    online.observe(StepSample{3000 * rng.uniform(), 200 * rng.uniform(), 1e6 * rng.uniform(), rng.exponential(0.05)});
    const StepCoefficients c = online.model()->coefficients();
    for (const double value : {c.fixed, c.per_new_token, c.per_sequence, c.per_kv_token}) ASSERT_TRUE(std::isfinite(value) && value >= 0);
  }
}

TEST(OnlineEngineModel, IgnoresWhatCannotBe) {
  OnlineEngineModel online(kLimits, kTruth);
  const double nan = std::nan("");
  EXPECT_FALSE(online.observe(StepSample{nan, 1, 1, 0.01}));
  EXPECT_FALSE(online.observe(StepSample{1, 1, 1, 0}));
  EXPECT_FALSE(online.observe(StepSample{0, 0, 0, 0.01}));
  EXPECT_FALSE(online.observe(IntervalMeans{-1, 10, 10, 0.1, 0.1, 1, 1}, EngineRole::kAggregated));
  EXPECT_FALSE(online.observe(IntervalMeans{1, 10, 10, 0.1, 0.1, 1, 0}, EngineRole::kAggregated));
  EXPECT_FALSE(online.observe(IntervalMeans{1, 10, 10, nan, nan, nan, 1}, EngineRole::kAggregated));
  EXPECT_EQ(online.used(), 0U);
}

TEST(OnlineEngineModel, GoesOnBitForBitAfterRestore) {
  Rng rng(5);
  OnlineEngineModel one(kLimits, std::nullopt);
  for (int i = 0; i < 50; ++i) one.observe(random_step(rng, kTruth, 0.3));
  StateWriter writer;
  one.save(writer);
  const std::string text = writer.take();
  EXPECT_LT(text.size(), 8192U);
  OnlineEngineModel two(kLimits, std::nullopt);
  StateReader reader(text);
  two.restore(reader);
  ASSERT_TRUE(reader.ok() && reader.at_end());
  for (int i = 0; i < 20; ++i) {
    const IntervalMeans interval{1 + rng.uniform(), 400, 100, 0.2 + rng.uniform(), 0.02 + 0.01 * rng.uniform(), 8, 1};
    EXPECT_EQ(one.observe(interval, EngineRole::kAggregated), two.observe(interval, EngineRole::kAggregated));
  }
  StateWriter left, right;
  one.save(left);
  two.save(right);
  EXPECT_EQ(left.take(), right.take());
}

TEST(OnlineEngineModel, IsAsNewAfterABrokenState) {
  for (const char* text : {"", "nonsense", "online-model/1 1"}) {
    OnlineEngineModel online(kLimits, kTruth);
    StateReader reader(text);
    online.restore(reader);
    EXPECT_FALSE(reader.ok());
    EXPECT_EQ(online.used(), 0U);
    EXPECT_EQ(online.model()->coefficients().fixed, kTruth.fixed);
  }
}

}  // namespace
}  // namespace flexpert::perf
