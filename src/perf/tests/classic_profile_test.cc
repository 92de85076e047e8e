#include "perf/classic_profile.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "h200_profile.h"

namespace flexpert::perf {
namespace {

std::string refusal(const ClassicSamples& samples) {
  const auto profile = ClassicProfile::create(samples);
  return profile ? "accepted" : profile.error().message;
}

TEST(ClassicProfile, LooksUpWhatScipyDoes) {
  const auto profile = ClassicProfile::create(h200_samples());
  ASSERT_TRUE(profile.has_value()) << profile.error().message;
  EXPECT_NEAR((*profile)->ttft_s(3000), 0.06045866867507648, 1e-12);
  EXPECT_NEAR((*profile)->prefill_throughput_per_gpu(500), 16176.721411278682, 1e-7);
  EXPECT_DOUBLE_EQ((*profile)->ttft_s(1), 0.019525209);
  EXPECT_NEAR((*profile)->itl_s(64, 6000), 0.017848369019171258, 1e-12);
  EXPECT_NEAR((*profile)->itl_s(512, 6000), 0.03580167967515924, 1e-15) << "outside the points: the nearest";
  const DecodeOperatingPoint best = (*profile)->best_decode(0.02, 3150);
  EXPECT_NEAR(best.throughput_per_gpu, 5804.894047954004, 1e-6);
  EXPECT_NEAR(best.itl_s, 0.019552899193675744, 1e-12);
  EXPECT_DOUBLE_EQ(best.kv_usage, 41.0 / 99);
  EXPECT_TRUE(best.holds_target);
  EXPECT_FALSE((*profile)->best_decode(0.002, 3150).holds_target);
}

TEST(ClassicProfile, AnswersForAnyNumber) {
  const auto profile = ClassicProfile::create(h200_samples());
  ASSERT_TRUE(profile.has_value());
  for (const double odd : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -1e300, 1e300}) {
    EXPECT_GT((*profile)->itl_s(odd, 3000), 0);
    EXPECT_GT((*profile)->itl_s(8, odd), 0);
    EXPECT_GT((*profile)->best_decode(0.01, odd).throughput_per_gpu, 0);
  }
}

TEST(ClassicProfile, NamesFieldAndIndexOfBadValues) {
  ClassicSamples bad = h200_samples();
  bad.prefill_ttft_ms[3] = std::nan("");
  EXPECT_NE(refusal(bad).find("prefill_ttft[3]: must be a finite number"), std::string::npos) << refusal(bad);
  bad = h200_samples();
  bad.decode_itl_ms[5] = -1;
  EXPECT_NE(refusal(bad).find("z_itl[5]: must be positive"), std::string::npos) << refusal(bad);
  bad = h200_samples();
  bad.decode_itl_ms.pop_back();
  EXPECT_NE(refusal(bad).find("z_itl: all arrays"), std::string::npos) << refusal(bad);
  bad = h200_samples();
  std::swap(bad.prefill_isl[2], bad.prefill_isl[3]);
  EXPECT_NE(refusal(bad).find("prefill_isl[3]: lengths must ascend"), std::string::npos) << refusal(bad);
  bad = h200_samples();
  bad.max_kv_tokens = 0;
  EXPECT_NE(refusal(bad).find("max_kv_tokens: "), std::string::npos) << refusal(bad);
  EXPECT_NE(refusal({}).find("prefill_isl: at least 4 points"), std::string::npos) << refusal({});
}

TEST(ClassicProfile, RefusesOtherUnits) {
  const auto scaled = [](std::vector<double> ClassicSamples::*field, double factor) {
    ClassicSamples samples = h200_samples();
    for (double& value : samples.*field) value *= factor;
    return refusal(samples);
  };
  EXPECT_NE(scaled(&ClassicSamples::prefill_ttft_ms, 1e-3).find("prefill_ttft: must be in milliseconds"), std::string::npos);
  EXPECT_NE(scaled(&ClassicSamples::prefill_ttft_ms, 1e3).find("are these microseconds?"), std::string::npos);
  EXPECT_NE(scaled(&ClassicSamples::decode_itl_ms, 1e-3).find("z_itl: must be in milliseconds"), std::string::npos);
  EXPECT_NE(scaled(&ClassicSamples::decode_kv_usage, 100).find("are these percent?"), std::string::npos);
  EXPECT_EQ(scaled(&ClassicSamples::decode_throughput_per_gpu, 1.0 / 64), "accepted") << "64 GPUs an instance";
}

TEST(ClassicProfile, RefusesPointsOnOneLine) {
  ClassicSamples samples = h200_samples();
  for (double& length : samples.decode_context_length) length = 1000;
  EXPECT_NE(refusal(samples).find("y_context_length"), std::string::npos) << refusal(samples);
}

}  // namespace
}  // namespace flexpert::perf
