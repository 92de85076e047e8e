#include "perf/tests/h200_profile.h"
#include "scaling/classic_plan.h"
#include "scaling/sla_policy.h"
#include "scaling/tests/policy_bench.h"

namespace flexpert::scaling {
namespace {

constexpr double kRate = 20;
constexpr double kIsl = 3000;
constexpr double kOsl = 150;

/// A decode pool of two, with the classic planner's unsmoothed correction.
struct ClassicBench : PolicyBench {
  ClassicBench() : PolicyBench(nullptr, 2) {
    options.model = SlaOptions::Model::kClassic;
    options.correction.smoothing = 1;
    options.profile = *perf::ClassicProfile::create(perf::h200_samples());
    policy = std::move(*make_sla_policy(options, PoolRole::kDecode));
    next = horizon = TrafficForecast{15, kRate, kRate, kIsl, kOsl};
    observation.traffic.requests_per_s = MetricSample{kRate, 0};
    observation.traffic.isl = MetricSample{kIsl, 0};
    observation.traffic.osl = MetricSample{kOsl, 0};
    observation.traffic.itl_s = MetricSample{0.02, 0};
    observation.traffic.ttft_s = MetricSample{0.3, 0};
  }
  double correction() {
    for (const auto& [name, number] : propose().reasons.front().numbers)
      if (name == "d_corr") return number;
    return -1;
  }
  [[nodiscard]] double expected(double duration_s) const {
    const ClassicObservation seen{kRate * 15, kIsl, kOsl, 0.3, 0.02, duration_s, 2, 2};
    return classic_correction(*options.profile, seen, 15, {0, 0}).decode;
  }
  SlaOptions options;
};

TEST(SlaClassic, ConcurrencyGoesByTheDurationThatWasMeasured) {
  ClassicBench bench;
  bench.observation.traffic.duration_s = MetricSample{40, 0};
  EXPECT_DOUBLE_EQ(bench.correction(), bench.expected(40));
  EXPECT_GT(std::abs(bench.expected(40) - bench.expected(0.3 + 0.02 * kOsl)), 0.01) << "or the test says nothing";
}

TEST(SlaClassic, WithoutAUsableDurationTtftAndItlTellIt) {
  for (const auto& missing : {std::optional<MetricSample>(), std::optional(MetricSample{40, 61}), std::optional(MetricSample{std::nan(""), 0})}) {
    ClassicBench bench;
    bench.observation.traffic.duration_s = missing;
    EXPECT_DOUBLE_EQ(bench.correction(), bench.expected(0.3 + 0.02 * kOsl));
  }
}

}  // namespace
}  // namespace flexpert::scaling
