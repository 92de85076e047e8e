#include "scaling/predictive.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "scaling/combine.h"
#include "scaling/stabilise.h"
#include "scaling/tests/policy_bench.h"

namespace flexpert::scaling {
namespace {

struct PredictiveBench : PolicyBench {
  explicit PredictiveBench(const PredictiveOptions& options, std::uint32_t ready) : PolicyBench(make_predictive_policy(options, 60), ready) {}
  /// Observes a rate and a queue, and expects `upper` requests/s.
  const Proposal& see(double rate, double upper, double queued = 0) {
    observation.traffic.requests_per_s = MetricSample{rate, 0};
    observation.traffic.queued = MetricSample{queued, 0};
    horizon = TrafficForecast{75, rate, upper, 100, 100};
    pass(15);
    return propose();
  }
};

TEST(Predictive, ServesTheUpperQuantileWithAKnownCapacity) {
  PredictiveBench bench({5, 0.8}, 1);
  EXPECT_EQ(bench.see(10, 12).replicas, 3U);
  EXPECT_EQ(bench.newest.exact, 3);
  EXPECT_EQ(bench.see(10, 12.1).replicas, 4U);
  EXPECT_EQ(bench.see(0, 0).replicas, 0U);
  EXPECT_EQ(bench.see(0, 1e-9).replicas, 1U);
}

TEST(Predictive, MissingTrafficNeverShrinks) {
  PredictiveBench bench({5, 0.8}, 4);
  EXPECT_FALSE(bench.propose().may_shrink);
  bench.see(1, 1);
  EXPECT_TRUE(bench.newest.may_shrink);
  bench.observation.traffic.requests_per_s->age_s = 61;
  EXPECT_FALSE(bench.propose().may_shrink);
}

TEST(Predictive, LearnsWhatAnInstanceDidWhileNothingQueued) {
  PredictiveBench bench({0, 0.8}, 2);
  bench.see(20, 20);
  bench.set(4);
  EXPECT_EQ(bench.see(20, 20).replicas, 2U) << "10 an instance were shown, so it is not fewer";
  EXPECT_EQ(bench.newest.exact, 2.5);
}

TEST(Predictive, AQueueEndsTheSearchForMore) {
  PredictiveBench bench({0, 0.8}, 2);
  bench.see(20, 20);
  EXPECT_EQ(bench.see(24, 28, 40).replicas, 4U) << "28 / (10 * 0.8)";
  EXPECT_EQ(bench.see(16, 16, 40).replicas, 3U) << "a queue at 8 an instance lowers the capacity to 9.5";
}

TEST(Predictive, ASaturatedFirstIntervalStillGrows) {
  PredictiveBench bench({0, 0.8}, 1);
  EXPECT_EQ(bench.see(10, 11, 500).replicas, 2U);
}

TEST(Predictive, AnIdleOrSteadyPoolDoesNotCreepUpwards) {
  for (const double capacity : {0.0, 5.0}) {
    Rng rng(7);
    PredictiveBench bench({capacity, 0.8}, 3);
    StabilisationState state;
    std::uint32_t current = 3;
    int reversals = 0;
    int direction = 0;
    for (int i = 0; i < 5760; ++i) {
      const double rate = 9 * (0.9 + 0.2 * rng.uniform());
      bench.see(rate, 9.8);
      const Combined combined = combine(std::vector{NamedProposal{"p", CombineRule::kMax, bench.newest}}, current, 0.1);
      const std::uint32_t next = stabilise({bench.now, current, current, combined.wanted, combined.keep, true, false, false, 0, 50}, {}, state).wanted;
      const int moved = next > current ? 1 : next < current ? -1 : 0;
      if (moved != 0 && moved == -direction) ++reversals;
      if (moved != 0) direction = moved;
      if (next != current) bench.set(next);
      current = next;
    }
    EXPECT_EQ(reversals, 0) << capacity;
    EXPECT_LE(current, 4U);
  }
}

TEST(Predictive, RestoredGoesOnAlike) {
  PredictiveBench bench({0, 0.8}, 3);
  Rng rng(2);
  for (int i = 0; i < 40; ++i) bench.see(30 * rng.uniform(), 30, rng.below(20));
  auto other = make_predictive_policy({0, 0.8}, 60);
  bench.copy_state_to(*other);
  EXPECT_EQ(bench.propose_with(*other).exact, bench.propose().exact);
}

}  // namespace
}  // namespace flexpert::scaling
