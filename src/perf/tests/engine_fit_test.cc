#include "perf/engine_fit.h"

#include <gtest/gtest.h>

#include "h200_profile.h"

namespace flexpert::perf {
namespace {

TEST(FitEngine, ExplainsARealProfileWithFourNumbers) {
  const ClassicSamples samples = h200_samples();
  for (const EngineRole role : {EngineRole::kAggregated, EngineRole::kPrefill, EngineRole::kDecode}) {
    const EngineLimits one_step{256, 1e9, 1e6};
    const auto model = fit_engine(samples, role, one_step);
    ASSERT_TRUE(model.has_value()) << model.error().message;
    const FitError error = fit_error(*model, step_samples(samples, role, one_step.chunk_tokens));
    EXPECT_LT(error.median, 0.1);
    EXPECT_LT(error.p90, 0.2);
    EXPECT_EQ(model->limits().kv_tokens, samples.max_kv_tokens);
  }
}

TEST(FitEngine, TakesStepsAndSamplesOfAProfile) {
  EngineProfile profile;
  EXPECT_FALSE(fit_engine(profile, EngineRole::kDecode).has_value());
  for (double batch = 1; batch < 100; batch *= 2) profile.steps.push_back({batch * 10, batch, batch * 700, 0.01 + batch * 1e-4});
  const auto steps_only = fit_engine(profile, EngineRole::kDecode);
  ASSERT_TRUE(steps_only.has_value());
  EXPECT_NEAR(steps_only->step_s(100, 10, 7000), 0.011, 1e-6);
  profile.steps.clear();
  profile.samples = h200_samples();
  profile.limits = EngineLimits{64, 8192, 500'000};
  const auto samples_only = fit_engine(profile, EngineRole::kAggregated);
  ASSERT_TRUE(samples_only.has_value());
  EXPECT_EQ(samples_only->limits(), *profile.limits);
}

}  // namespace
}  // namespace flexpert::perf
