#include "scaling/classic_plan.h"

#include <cmath>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "perf/tests/h200_profile.h"

namespace flexpert::scaling {
namespace {

const perf::ClassicProfile& h200() {
  static const auto profile = *perf::ClassicProfile::create(perf::h200_samples());
  return *profile;
}

ClassicPlanOptions options_with(std::optional<std::uint32_t> budget, std::uint32_t prefill_gpus = 1, std::uint32_t decode_gpus = 1) {
  ClassicPlanOptions options;
  options.itl_s = 0.01;
  options.gpus_per_prefill = prefill_gpus;
  options.gpus_per_decode = decode_gpus;
  options.gpu_budget = budget;
  return options;
}

TEST(ClassicPlan, PlansWhatTheReferenceDoes) {
  // Golden cases 5400 requests, ISL 3000, OSL 150.
  const ClassicPlan plan = classic_plan(h200(), {5400, 3000, 150}, {1, 1}, options_with(8, 4, 1));
  EXPECT_EQ(plan.wanted_prefill, 2U);
  EXPECT_EQ(plan.wanted_decode, 3U);
  EXPECT_EQ(plan.prefill, 1U);
  EXPECT_EQ(plan.decode, 4U) << "decode gets what is left";
  ASSERT_EQ(plan.reasons.size(), 3U);
  EXPECT_EQ(plan.reasons.back().code, "gpu_budget");
}

TEST(ClassicPlan, ZeroTrafficIsValidAndGivesTheMinima) {
  EXPECT_TRUE(is_valid(ClassicObservation{}));
  const ClassicPlan plan = classic_plan(h200(), {0, 0, 0}, {1, 1}, options_with(std::nullopt));
  EXPECT_EQ(plan.prefill, 1U);
  EXPECT_EQ(plan.decode, 1U);
}

TEST(ClassicPlan, InvalidObservationsKeepTheCorrection) {
  ClassicObservation seen{100, 3000, 150, 0.12, 0.01, 2, 1, 1};
  const ClassicCorrection before{1.5, 0.7};
  EXPECT_NEAR(classic_correction(h200(), seen, 60, before).prefill, 0.12 / h200().ttft_s(3000), 1e-12);
  for (double ClassicObservation::*field : {&ClassicObservation::requests, &ClassicObservation::isl, &ClassicObservation::ttft_s,
                                            &ClassicObservation::itl_s}) {
    for (const double odd : {std::nan(""), -1.0, HUGE_VAL}) {
      ClassicObservation bad = seen;
      bad.*field = odd;
      EXPECT_FALSE(is_valid(bad));
      EXPECT_EQ(classic_correction(h200(), bad, 60, before).prefill, before.prefill);
      EXPECT_EQ(classic_correction(h200(), bad, 60, before).decode, before.decode);
    }
  }
}

TEST(ClassicPlan, CorrectionsOnlyRelievePrefillAndTightenDecode) {
  const auto wanted = [](double prefill, double decode) {
    const ClassicPlan plan = classic_plan(h200(), {20'000, 3000, 300}, {prefill, decode}, options_with(std::nullopt));
    return std::pair(plan.prefill, plan.decode);
  };
  EXPECT_EQ(wanted(3, 1).first, wanted(1, 1).first);
  EXPECT_LT(wanted(0.3, 1).first, wanted(1, 1).first);
  EXPECT_GT(wanted(1, 1.5).second, wanted(1, 1).second);
  EXPECT_EQ(wanted(1, 0).second, wanted(1, 1).second);
}

TEST(ClassicPlan, NeverExceedsABudget) {
  Rng rng(9);
  for (int i = 0; i < 3000; ++i) {
    ClassicPlanOptions options = options_with(static_cast<std::uint32_t>(rng.below(40)), 1 + static_cast<std::uint32_t>(rng.below(8)),
                                              1 + static_cast<std::uint32_t>(rng.below(8)));
    options.min_prefill = static_cast<std::uint32_t>(rng.below(4));
    options.min_decode = static_cast<std::uint32_t>(rng.below(4));
    const ClassicTraffic next{20'000 * rng.uniform(), 10 + 8000 * rng.uniform(), 1 + 600 * rng.uniform()};
    const ClassicPlan plan = classic_plan(h200(), next, {2 * rng.uniform(), 2 * rng.uniform()}, options);
    EXPECT_LE(plan.prefill * options.gpus_per_prefill + plan.decode * options.gpus_per_decode, *options.gpu_budget);
    const bool fits = options.min_prefill * options.gpus_per_prefill + options.min_decode * options.gpus_per_decode <= *options.gpu_budget;
    EXPECT_EQ(plan.minima_fit, fits || (plan.prefill >= options.min_prefill && plan.decode >= options.min_decode)) << i;
  }
}

}  // namespace
}  // namespace flexpert::scaling
