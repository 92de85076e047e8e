#include "engine/model/sampler.h"

#include <cmath>
#include <limits>
#include <map>

#include <gtest/gtest.h>

namespace flexpert::engine {
namespace {

std::map<TokenId, double> shares(const std::vector<float>& logits, const SamplingParams& params, int draws = 200000) {
  Sampler sampler;
  Rng rng(params.seed);
  std::map<TokenId, double> counts;
  for (int i = 0; i < draws; ++i) counts[sampler.sample(logits, params, rng)->token] += 1.0 / draws;
  return counts;
}

// Standard deviation of a share at 200,000 draws is at most 0.0012; 0.006 is five of them.
constexpr double kTolerance = 0.006;

std::vector<float> logs(std::initializer_list<double> probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

TEST(Sampler, TakesTheFirstMaximumAtTemperatureZero) {
  Sampler sampler;
  Rng rng(1);
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 5, 5, 2}, {.temperature = 0}, rng)->token, 1);
  EXPECT_EQ(rng.next(), Rng(1).next()) << "a greedy draw takes no number";
}

TEST(Sampler, DrawsByProbability) {
  const auto counts = shares(logs({0.5, 0.3, 0.15, 0.05}), {.temperature = 1, .seed = 3});
  EXPECT_NEAR(counts.at(0), 0.5, kTolerance);
  EXPECT_NEAR(counts.at(1), 0.3, kTolerance);
  EXPECT_NEAR(counts.at(3), 0.05, kTolerance);
}

TEST(Sampler, SharpensWithTemperature) {
  const auto counts = shares(logs({0.6, 0.4}), {.temperature = 0.5F, .seed = 4});
  EXPECT_NEAR(counts.at(0), 0.36 / (0.36 + 0.16), kTolerance);
}

TEST(Sampler, KeepsTheFewestTokensThatHoldTopP) {
  const auto counts = shares(logs({0.05, 0.3, 0.15, 0.5}), {.temperature = 1, .top_p = 0.75F, .seed = 5});
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_NEAR(counts.at(3), 0.625, kTolerance);
  EXPECT_NEAR(counts.at(1), 0.375, kTolerance);
}

TEST(Sampler, KeepsTopKAndThenTopPOfThem) {
  const auto k_only = shares(logs({0.05, 0.3, 0.15, 0.5}), {.temperature = 1, .top_k = 3, .seed = 6});
  EXPECT_EQ(k_only.size(), 3U);
  EXPECT_NEAR(k_only.at(2), 0.15 / 0.95, kTolerance);
  const auto both = shares(logs({0.05, 0.3, 0.15, 0.5}), {.temperature = 1, .top_p = 0.6F, .top_k = 2, .seed = 7});
  EXPECT_EQ(both.size(), 1U) << "0.5 of 0.8 is over 0.6";
}

TEST(Sampler, CutsAFlatDistributionRightlyBeyondTheFirstSortedPart) {
  const std::vector<float> flat(200, 0.25F);
  const auto counts = shares(flat, {.temperature = 1, .top_p = 0.5F, .seed = 8}, 4000);
  EXPECT_EQ(counts.rbegin()->first, 99) << "ties go to the lower ids";
  EXPECT_EQ(counts.size(), 100U);
}

TEST(Sampler, GivesLogprobsOfTheModelItself) {
  Sampler sampler;
  Rng rng(9);
  const auto sampled = sampler.sample(logs({0.2, 0.5, 0.3}), {.temperature = 0, .top_logprobs = 2}, rng);
  EXPECT_NEAR(*sampled->logprob, std::log(0.5), 1e-6);
  ASSERT_EQ(sampled->top.size(), 2U);
  EXPECT_EQ(sampled->top[1].token, 2);
  EXPECT_NEAR(sampled->top[1].logprob, std::log(0.3), 1e-6);
}

TEST(Sampler, RefusesLogitsThatAreNotNumbers) {
  Sampler sampler;
  Rng rng(1);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto sampled = sampler.sample(std::vector<float>{0, bad, 1}, {.temperature = 0}, rng);
    ASSERT_FALSE(sampled.has_value());
    EXPECT_EQ(sampled.error().code, ErrorCode::kInternal);
  }
}

TEST(CheckSampling, NamesTheParameterThatIsOutOfRange) {
  EXPECT_TRUE(check_sampling({}).has_value());
  EXPECT_NE(check_sampling({.temperature = -1}).error().message.find("temperature"), std::string::npos);
  EXPECT_NE(check_sampling({.temperature = std::nanf("")}).error().message.find("temperature"), std::string::npos);
  EXPECT_NE(check_sampling({.top_p = 0}).error().message.find("top_p"), std::string::npos);
  EXPECT_NE(check_sampling({.top_logprobs = 21}).error().message.find("top_logprobs"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::engine
