#include <cmath>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "perf/engine_model.h"

namespace flexpert::perf {
namespace {

StepSample step(const StepCoefficients& c, double fresh, double batch, double read, double noise = 1) {
  return {fresh, batch, read, (c.fixed + c.per_new_token * fresh + c.per_sequence * batch + c.per_kv_token * read) * noise};
}

TEST(FitSteps, FindsTheCoefficientsOfExactSamples) {
  const StepCoefficients truth{0.01, 5e-5, 1e-4, 4e-8};
  Rng rng(1);
  std::vector<StepSample> samples;
  for (int i = 0; i < 40; ++i) samples.push_back(step(truth, 2000 * rng.uniform(), 100 * rng.uniform(), 3e5 * rng.uniform()));
  const auto fit = fit_steps(samples);
  ASSERT_TRUE(fit.has_value());
  EXPECT_NEAR(fit->fixed, truth.fixed, 1e-9);
  EXPECT_NEAR(fit->per_new_token, truth.per_new_token, 1e-12);
  EXPECT_NEAR(fit->per_sequence, truth.per_sequence, 1e-11);
  EXPECT_NEAR(fit->per_kv_token, truth.per_kv_token, 1e-14);
}

TEST(FitSteps, NeverFitsANegativeCoefficient) {
  Rng rng(2);
  for (int round = 0; round < 50; ++round) {
    std::vector<StepSample> samples;
    for (int i = 0; i < 12; ++i) samples.push_back({2000 * rng.uniform(), 100 * rng.uniform(), 3e5 * rng.uniform(), 0.001 + rng.uniform()});
    const auto fit = fit_steps(samples);
    ASSERT_TRUE(fit.has_value());
    for (const double c : {fit->fixed, fit->per_new_token, fit->per_sequence, fit->per_kv_token}) EXPECT_GE(c, 0);
  }
}

TEST(FitSteps, LeavesOutTermsThatSamplesCannotTell) {
  std::vector<StepSample> samples;
  for (double batch = 1; batch <= 64; batch *= 2) samples.push_back(step({0.01, 0, 2e-4, 0}, 0, batch, batch * 1000));
  const auto fit = fit_steps(samples);
  ASSERT_TRUE(fit.has_value());
  EXPECT_NEAR(fit->fixed, 0.01, 1e-9);
  EXPECT_EQ(fit->per_new_token, 0);
  EXPECT_NEAR(fit->per_sequence + 1000 * fit->per_kv_token, 2e-4, 1e-10);
}

TEST(FitSteps, NamesTheSampleThatIsWrong) {
  std::vector<StepSample> samples(5, StepSample{1, 1, 1, 0.01});
  samples[3].kv_tokens_read = std::nan("");
  const auto fit = fit_steps(samples);
  ASSERT_FALSE(fit.has_value());
  EXPECT_NE(fit.error().message.find("samples[3].kv_tokens_read"), std::string::npos);
  EXPECT_FALSE(fit_steps(std::vector<StepSample>(3)).has_value());
}

}  // namespace
}  // namespace flexpert::perf
