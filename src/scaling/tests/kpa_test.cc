#include "scaling/kpa.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "scaling/kpa_decision.h"
#include "scaling/kpa_window.h"
#include "scaling/tests/policy_bench.h"

namespace flexpert::scaling {
namespace {

/// 7 requests in progress are aimed at an instance.
KpaOptions ten_at_seventy_percent() {
  KpaOptions options;
  options.target = 10;
  return options;
}

struct KpaBench : PolicyBench {
  explicit KpaBench(std::uint32_t ready, KpaOptions options = ten_at_seventy_percent()) : PolicyBench(make_kpa_policy(options), ready) {}
  /// Lets the same concurrency last; returns the newest count.
  std::uint32_t hold(double in_flight, double seconds) {
    for (double t = 0; t < seconds; t += 15) {
      pass(15);
      observation.traffic.in_flight = MetricSample{in_flight, 0};
      propose();
    }
    return newest.replicas.value_or(9999);
  }
};

TEST(Kpa, FollowsTheStableWindow) {
  KpaBench bench(1);
  EXPECT_EQ(bench.hold(6, 60), 1U);
  EXPECT_EQ(bench.hold(13, 15), 2U) << "over the panic threshold of two an instance";
  bench.set(2);
  EXPECT_EQ(bench.hold(13, 120), 2U);
  EXPECT_EQ(bench.newest.reasons.front().code, "stable");
}

TEST(Kpa, PanicsOnASurgeAndDoesNotShrinkWhileItLasts) {
  KpaBench bench(2);
  bench.hold(10, 120);
  EXPECT_EQ(bench.hold(35, 15), 5U);
  EXPECT_EQ(bench.newest.reasons.front().code, "panic");
  bench.set(5);
  EXPECT_EQ(bench.hold(7, 60), 5U);
  EXPECT_EQ(bench.hold(7, 60), 2U) << "the fall is bounded to half at once, and one is enough only then";
}

TEST(Kpa, StartsInPanicOverOneInstanceSoThatNothingIsTakenBeforeAWindowIsFull) {
  KpaBench bench(6);
  EXPECT_EQ(bench.hold(1, 60), 6U);
  EXPECT_EQ(bench.hold(1, 30), 3U);
}

TEST(Kpa, GoesToZeroAfterTheGraceAndComesBackForWhatQueues) {
  KpaBench bench(1);
  bench.hold(3, 60);
  EXPECT_EQ(bench.hold(0, 60), 1U);
  EXPECT_EQ(bench.newest.reasons.front().code, "scale_to_zero_grace");
  EXPECT_EQ(bench.hold(0, 30), 0U);
  bench.set(0);
  EXPECT_EQ(bench.hold(0, 30), 0U);
  bench.observation.traffic.in_flight.reset();
  bench.observation.traffic.queued = MetricSample{1, 0};
  bench.pass(15);
  EXPECT_EQ(bench.propose().replicas, 1U);
}

TEST(Kpa, ActivationScaleIsTheLeastThatAnythingWakes) {
  KpaOptions options = ten_at_seventy_percent();
  options.activation_scale = 3;
  KpaBench bench(0, options);
  EXPECT_EQ(bench.hold(1, 15), 3U);
  EXPECT_EQ(bench.hold(0, 120), 0U);
}

TEST(Kpa, WithoutSamplesThereIsNoOpinionAndNoShrink) {
  KpaBench bench(3);
  EXPECT_FALSE(bench.propose().replicas);
  EXPECT_FALSE(bench.newest.may_shrink);
  bench.hold(30, 120);
  bench.observation.traffic.in_flight->age_s = 61;
  EXPECT_FALSE(bench.propose().may_shrink);
  EXPECT_EQ(bench.newest.conditions.front().code, "metric_missing");
}

TEST(Kpa, ReportsTheExcessBurstCapacity) {
  KpaOptions options = ten_at_seventy_percent();
  options.target_burst_capacity = 25;
  KpaBench bench(4, options);
  bench.hold(12, 15);
  EXPECT_EQ(bench.newest.reasons.front().numbers.back(), (std::pair<std::string, double>{"excess_burst_capacity", 40 - 25 - 12}));
}

TEST(Kpa, TheDelayKeepsTheLargestCountWantedInIt) {
  KpaSpec spec;
  spec.scale_down_delay_s = 300;
  spec.panic_threshold = 100;
  KpaState state;
  EXPECT_EQ(decide_kpa(spec, state, 0, 4, 40, 40).wanted, 4U);
  EXPECT_EQ(decide_kpa(spec, state, 298'000, 4, 10, 10).wanted, 4U);
  EXPECT_EQ(decide_kpa(spec, state, 300'000, 4, 10, 10).wanted, 1U);
}

TEST(KpaWindow, WeighsSamplesByTheTimeTheyStandFor) {
  KpaWindow window;
  window.add(10'000, 4, 10);
  window.add(40'000, 8, 30);
  EXPECT_EQ(window.mean(40'000, 60), (4 * 10 + 8 * 30) / 40.0);
  EXPECT_EQ(window.mean(40'000, 6), 8);
  EXPECT_EQ(window.mean(40'000, 35), (4 * 5 + 8 * 30) / 35.0);
  EXPECT_EQ(window.mean(200'000, 60), std::nullopt);
  window.add(40'000, 100, 30);
  EXPECT_EQ(window.mean(40'000, 6), 8) << "the same sample seen again";
}

TEST(Kpa, RestoredGoesOnAlike) {
  Rng rng(5);
  KpaOptions options = ten_at_seventy_percent();
  options.scale_down_delay_s = 120;
  KpaBench bench(3, options);
  for (int i = 0; i < 50; ++i) bench.hold(rng.uniform() * 60, 15);
  auto other = make_kpa_policy(options);
  bench.copy_state_to(*other);
  for (int i = 0; i < 50; ++i) {
    bench.pass(15);
    bench.observation.traffic.in_flight = MetricSample{rng.uniform() * 60, 2};
    EXPECT_EQ(bench.propose_with(*other).replicas, bench.propose().replicas);
  }
}

}  // namespace
}  // namespace flexpert::scaling
