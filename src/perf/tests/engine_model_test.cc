#include "perf/engine_model.h"

#include <gtest/gtest.h>

#include "engine_simulation.h"

namespace flexpert::perf {
namespace {

constexpr StepCoefficients kSmall{0.008, 40e-6, 0.1e-3, 60e-9};
constexpr StepCoefficients kFast{0.006, 20e-6, 20e-6, 25e-9};
constexpr EngineLimits kChat{128, 2048, 400'000};

struct Case {
  const char* name;
  StepCoefficients step;
  EngineLimits limits;
  Workload load;
  EngineRole role;
};
const std::vector<Case> kCases = {
    {"aggregated, chat", kSmall, kChat, {500, 200, 1, 1}, EngineRole::kAggregated},
    {"aggregated, lengths alike", kSmall, kChat, {500, 200, 0, 0}, EngineRole::kAggregated},
    {"aggregated, long prompts in chunks", kFast, {256, 512, 600'000}, {4000, 300, 1, 1}, EngineRole::kAggregated},
    {"prefill", kFast, {256, 8192, 600'000}, {3000, 1, 1, 1}, EngineRole::kPrefill},
    {"decode", kSmall, kChat, {500, 200, 1, 1}, EngineRole::kDecode},
};

TEST(EngineModel, AgreesWithASimulatedEngineUpToHighLoads) {
  for (const Case& one : kCases) {
    const EngineModel model(one.step, one.limits);
    for (const double share : {0.3, 0.7}) {
      const double rate = share * model.saturation(one.load, one.role);
      Rng rng(11);
      auto requests = poisson_requests(rng, 1500, rate, one.load);
      simulate(one.step, one.limits, one.role, requests);
      const SimulatedLatency seen = latency_of(requests, 0.95);
      const LoadPoint expected = model.at(rate, one.load, one.role, 0.95);
      EXPECT_TRUE(expected.stable);
      EXPECT_NEAR(expected.ttft_s / seen.ttft_s, 1, 0.25) << one.name << " at " << share;
      EXPECT_NEAR(expected.mean_ttft_s / seen.mean_ttft_s, 1, 0.2) << one.name << " at " << share;
      if (one.role == EngineRole::kPrefill) continue;
      EXPECT_NEAR(expected.itl_s / seen.itl_s, 1, 0.15) << one.name << " at " << share;
      EXPECT_NEAR(expected.mean_itl_s / seen.mean_itl_s, 1, 0.08) << one.name << " at " << share;
    }
  }
}

TEST(EngineModel, CapacityHoldsThePercentileInASimulatedEngine) {
  for (const Case& one : kCases) {
    const EngineModel model(one.step, one.limits);
    const LatencyTargets targets{0.6, 0.025, 0.95};
    const double capacity = model.capacity(one.load, targets, one.role);
    ASSERT_GT(capacity, 0) << one.name;
    Rng rng(1);
    auto requests = poisson_requests(rng, 4000, 0.85 * capacity, one.load);
    simulate(one.step, one.limits, one.role, requests);
    const SimulatedLatency seen = latency_of(requests, 0.95);
    EXPECT_LE(seen.ttft_s, 0.6) << one.name;
    if (one.role == EngineRole::kPrefill) continue;
    EXPECT_LE(seen.itl_s, 0.025) << one.name;
  }
}

TEST(EngineModel, SaturationIsWhereAQueueGrows) {
  const Workload alike{500, 200, 0, 0};
  const EngineModel model(kSmall, kChat);
  const double saturation = model.saturation(alike, EngineRole::kAggregated);
  EXPECT_FALSE(model.at(saturation, alike, EngineRole::kAggregated, 0.95).stable);
  Rng rng(4);
  auto under = poisson_requests(rng, 3000, 0.9 * saturation, alike), over = poisson_requests(rng, 3000, 1.15 * saturation, alike);
  simulate(kSmall, kChat, EngineRole::kAggregated, under);
  simulate(kSmall, kChat, EngineRole::kAggregated, over);
  EXPECT_LT(under.back().ttft(), 2);
  EXPECT_GT(over.back().ttft(), 5);
}

EngineModel random_model(Rng& rng) {
  const auto spread = [&](double middle) { return middle * std::exp(4 * (rng.uniform() - 0.5)); };
  return EngineModel({spread(0.01), spread(40e-6), spread(50e-6), spread(30e-9)},
                     {std::round(spread(128)), std::round(spread(2048)), std::round(spread(400'000))});
}

TEST(EngineModel, MoreLoadIsNeverFaster) {
  Rng rng(21);
  for (int i = 0; i < 60; ++i) {
    const EngineModel model = random_model(rng);
    const Workload load{20 + 3000 * rng.uniform(), 2 + 500 * rng.uniform()};
    const auto role = static_cast<EngineRole>(rng.below(3));
    const double saturation = model.saturation(load, role);
    LoadPoint before;
    for (double share = 0; share < 1; share += 0.04) {
      const LoadPoint now = model.at(share * saturation, load, role, 0.9);
      EXPECT_GE(now.ttft_s, before.ttft_s * (1 - 1e-9)) << i << " at " << share;
      EXPECT_GE(now.itl_s, before.itl_s * (1 - 1e-9)) << i << " at " << share;
      before = now;
    }
  }
}

TEST(EngineModel, TighterTargetsAndHigherPercentilesNeverCarryMore) {
  Rng rng(22);
  for (int i = 0; i < 60; ++i) {
    const EngineModel model = random_model(rng);
    const Workload load{20 + 3000 * rng.uniform(), 2 + 500 * rng.uniform()};
    const auto role = static_cast<EngineRole>(rng.below(3));
    const LatencyTargets loose{0.2 + rng.uniform(), 0.02 + 0.1 * rng.uniform(), 0.9};
    LatencyTargets tight = loose, rare = loose;
    tight.ttft_s = *loose.ttft_s * 0.7;
    tight.itl_s = *loose.itl_s * 0.7;
    rare.percentile = 0.99;
    const double capacity = model.capacity(load, loose, role);
    EXPECT_LE(capacity, model.saturation(load, role));
    EXPECT_LE(model.capacity(load, tight, role), capacity);
    EXPECT_LE(model.capacity(load, rare, role), capacity);
  }
}

TEST(EngineModel, CarriesNothingThatDoesNotFitOrHold) {
  const EngineModel model(kSmall, kChat);
  EXPECT_EQ(model.capacity({500'000, 10}, {}, EngineRole::kAggregated), 0);
  EXPECT_EQ(model.capacity({500, 100}, {std::nullopt, 0.001, 0.95}, EngineRole::kDecode), 0);
  EXPECT_GT(model.capacity({500, 100}, {}, EngineRole::kDecode), 0);
}

}  // namespace
}  // namespace flexpert::perf
