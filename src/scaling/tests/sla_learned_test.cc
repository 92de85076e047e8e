#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "policy_bench.h"
#include "scaling/sla_evidence.h"
#include "scaling/sla_policy.h"

namespace flexpert::scaling {
namespace {

const perf::EngineModel kReal({0.008, 40e-6, 0.1e-3, 60e-9}, {});
constexpr perf::Workload kChat{500, 200};
constexpr auto kAggregated = perf::EngineRole::kAggregated;
constexpr double kIntervalS = 15;

SlaOptions learned_options() {
  SlaOptions options;
  options.ttft_s = 0.5;
  options.itl_s = 0.03;
  return options;
}

double planned_per_instance() { return 0.85 * kReal.capacity(kChat, {0.5, 0.03, 0.95}, kAggregated); }

PolicyBench learning_pool(std::uint32_t ready) { return PolicyBench(*make_sla_policy(learned_options(), PoolRole::kAggregated), ready); }

/// One interval of a pool at so many requests/s, all of it measured with up to so much noise; `most` is forecast.
const Proposal& interval(PolicyBench& bench, double rate, Rng& rng, double noise = 0, std::optional<double> most = std::nullopt) {
  const auto noisy = [&](double value) { return MetricSample{value * (1 + noise * (2 * rng.uniform() - 1)), 0}; };
  const perf::LoadPoint point = kReal.at(rate / static_cast<double>(bench.observation.instances.size()), kChat, kAggregated, 0.95);
  PoolTraffic& traffic = bench.observation.traffic;
  traffic.requests_per_s = MetricSample{rate, 0};
  traffic.isl = noisy(kChat.isl);
  traffic.osl = noisy(kChat.osl);
  traffic.ttft_s = noisy(point.mean_ttft_s);
  traffic.itl_s = noisy(point.mean_itl_s);
  bench.next = bench.horizon = TrafficForecast{kIntervalS, rate, most.value_or(rate), kChat.isl, kChat.osl};
  bench.pass(kIntervalS);
  return bench.propose();
}

/// Settles a pool at a load as a planner would, one change at a time, and returns how often its size turned back.
int settle(PolicyBench& bench, double load, Rng& rng, double noise, int intervals) {
  int turns = 0, way = 0;
  std::vector<std::uint32_t> window;  // as a planner's that shrinks to the most of five minutes
  for (int i = 0; i < intervals; ++i) {
    const Proposal& wish = interval(bench, load * (0.9 + 0.2 * rng.uniform()), rng, noise, 1.1 * load);
    const auto now = static_cast<std::uint32_t>(bench.observation.instances.size());
    window.push_back(wish.replicas && wish.may_shrink ? *wish.replicas : std::max(now, wish.replicas.value_or(now)));
    if (window.size() > 20) window.erase(window.begin());
    const std::uint32_t next = window.back() > now ? window.back() : std::min(now, std::ranges::max(window));
    if (next == now || (next < now && window.size() < 20)) continue;
    turns += way != 0 && (next > now) != (way > 0) ? 1 : 0;
    way = next > now ? 1 : -1;
    window.clear();
    bench.set(next);
  }
  return turns;
}

TEST(SlaLearned, WithoutAModelItWaitsAndWithAYoungOneItNeitherShrinksNorJumps) {
  Rng rng(1);
  PolicyBench bench = learning_pool(2);
  bench.next = bench.horizon = TrafficForecast{kIntervalS, 0.4, 0.4, 500, 200};
  bench.observation.traffic.requests_per_s = bench.observation.traffic.isl = bench.observation.traffic.osl = MetricSample{0.4, 0};
  EXPECT_FALSE(bench.propose().replicas.has_value());
  EXPECT_EQ(bench.newest.conditions[0].code, "model_missing");
  EXPECT_FALSE(interval(bench, 0.4, rng).may_shrink);
  bench.horizon->requests_per_s_upper = 40;
  EXPECT_EQ(*bench.propose().replicas, 4U) << "200 times what an instance was seen to carry: no reason for 200 instances";
  EXPECT_EQ(bench.newest.reasons.back().code, "sla_extrapolation");
}

TEST(SlaLearned, ConstantLoadNeverTurnsAPoolBack) {
  const double one = planned_per_instance();
  for (const double instances : {0.6, 1.4, 2.5, 5.2}) {
    for (const double noise : {0.0, 0.05}) {
      for (const double start : {1.0, 3.0}) {
        Rng rng(7);
        const auto first = static_cast<std::uint32_t>(std::ceil(start * instances * 1.1));
        PolicyBench bench = learning_pool(first);
        EXPECT_EQ(settle(bench, instances * one, rng, noise, 500), 0) << instances << " from " << first << ", noise " << noise;
        const auto end = static_cast<double>(bench.observation.instances.size());
        EXPECT_GE(end, instances) << "from " << first << ", noise " << noise;
        EXPECT_LE(end, std::ceil(1.1 * instances) + 1) << "from " << first << ", noise " << noise;
      }
    }
  }
}

TEST(SlaLearned, FromDifferentLoadsItLearnsTheRealCapacity) {
  Rng rng(3);
  PolicyBench bench = learning_pool(3);
  for (int i = 0; i < 400; ++i) interval(bench, 3 * planned_per_instance() * (0.2 + 0.8 * rng.uniform()), rng, 0.05);
  EXPECT_NEAR(*interval(bench, 10 * planned_per_instance(), rng).exact, 10, 1);
}

TEST(SlaLearned, RequestsThatPileUpOverruleTheModel) {
  Rng rng(4);
  PolicyBench bench = learning_pool(4);
  for (int i = 0; i < 60; ++i) interval(bench, 12, rng);
  const std::uint32_t before = std::max(4U, *bench.newest.replicas);
  for (const double queued : {200.0, 500.0}) {
    bench.observation.traffic.queued = MetricSample{queued, 0};
    interval(bench, 12, rng);
  }
  EXPECT_GT(*bench.newest.replicas, before);
  EXPECT_FALSE(bench.newest.may_shrink);
  EXPECT_EQ(bench.newest.reasons.back().code, "sla_pile_up");
  bench.starting(1);
  bench.observation.traffic.queued = MetricSample{900, 0};
  EXPECT_NE(interval(bench, 12, rng).reasons.back().code, "sla_pile_up") << "what was asked for is loading";
}

TEST(SlaLearned, GoesOnBitForBitAfterRestore) {
  Rng rng(5);
  PolicyBench one = learning_pool(4);
  for (int i = 0; i < 60; ++i) {
    one.observation.traffic.queued = MetricSample{i % 9 > 5 ? 100.0 * (i % 9) : 0, 0};
    interval(one, 10 + 20 * rng.uniform(), rng, 0.1);
  }
  const auto two = *make_sla_policy(learned_options(), PoolRole::kAggregated);
  one.copy_state_to(*two);
  for (int i = 0; i < 40; ++i) {
    Rng again = rng;
    interval(one, 10 + 20 * again.uniform(), again, 0.1);
    rng = again;
    const Proposal ours = one.newest, theirs = one.propose_with(*two);
    EXPECT_EQ(ours.replicas, theirs.replicas);
    EXPECT_EQ(ours.exact, theirs.exact);
    EXPECT_EQ(ours.reasons, theirs.reasons);
  }
}

perf::IntervalMeans load_of(double rate, double isl = 500) { return {rate, isl, 200, 0.1, 0.01, std::nullopt, 1}; }

TEST(LoadEvidence, TrustsACapacityTheLessTheFurtherItIsFromWhatWasCarried) {
  LoadEvidence evidence(kAggregated);
  for (int i = 0; i < 39; ++i) evidence.settled(load_of(2), true, kReal);
  EXPECT_TRUE(evidence.young());
  EXPECT_NEAR(evidence.trusted(10, kReal, kChat), 2.6, 1e-9);
  evidence.settled(load_of(2), true, kReal);
  EXPECT_FALSE(evidence.young());
  double before = 0, share = 1;
  for (double capacity = 1; capacity < 100; capacity *= 1.2) {
    const double trusted = evidence.trusted(capacity, kReal, kChat);
    EXPECT_GE(trusted, before);
    EXPECT_LE(trusted / capacity, share + 1e-12);
    EXPECT_LE(trusted, std::max(2.0, 2.5 * 2 + 1e-9));
    before = trusted;
    share = trusted / capacity;
  }
  EXPECT_EQ(evidence.trusted(1.9, kReal, kChat), 1.9);
}

TEST(LoadEvidence, OneGlitchIsNoEvidenceAndLongPromptsAreNotShortOnes) {
  LoadEvidence evidence(kAggregated);
  for (int i = 0; i < 10; ++i) evidence.settled(load_of(i == 5 ? 9 : 2), true, kReal);
  EXPECT_NEAR(evidence.carried(kReal, kChat), 2, 1e-9);
  for (int i = 0; i < 10; ++i) evidence.settled(load_of(4), false, kReal);
  EXPECT_NEAR(evidence.carried(kReal, kChat), 2, 1e-9) << "targets were missed";
  for (int i = 0; i < 2; ++i) evidence.settled(load_of(4), true, kReal);
  EXPECT_NEAR(evidence.carried(kReal, kChat), 4, 1e-9);
  EXPECT_NEAR(evidence.carried(kReal, {5000, 200}) / 4, kReal.saturation({5000, 200}, kAggregated) / kReal.saturation(kChat, kAggregated),
              1e-9);
}

TEST(LoadEvidence, WhereRequestsPileUpIsRememberedAndFades) {
  LoadEvidence evidence(kAggregated);
  EXPECT_EQ(evidence.broken(kReal, kChat), std::numeric_limits<double>::infinity());
  for (const double queued : {50.0, 200.0, 400.0}) evidence.queue(queued, kIntervalS, load_of(6), true, 0.85, &kReal);
  EXPECT_TRUE(evidence.piles_up());
  EXPECT_NEAR(evidence.broken(kReal, kChat), 6, 1e-9);
  for (const double queued : {300.0, 200.0, 100.0}) evidence.queue(queued, kIntervalS, load_of(4), true, 0.85, &kReal);
  EXPECT_FALSE(evidence.piles_up());
  EXPECT_NEAR(evidence.carried(kReal, kChat), 0.85 * 4, 1e-9) << "the queue went down at that load";
  for (int i = 0; i < 100; ++i) evidence.settled(load_of(3), true, kReal);
  EXPECT_GT(evidence.broken(kReal, kChat), 7);
  for (int i = 0; i < 2; ++i) evidence.settled(load_of(8), true, kReal);
  EXPECT_EQ(evidence.broken(kReal, kChat), std::numeric_limits<double>::infinity()) << "it was carried after all";
}

TEST(LoadEvidence, IsAsNewAfterABrokenState) {
  for (const char* text : {"", "load-evidence/1 3", "load-evidence/1 3 3 nan 1 1 3 0 0 0 3 0 0 0 0 0 0 0"}) {
    LoadEvidence evidence(kAggregated);
    evidence.settled(load_of(2), true, kReal);
    StateReader reader(text);
    evidence.restore(reader);
    EXPECT_FALSE(reader.ok()) << text;
    EXPECT_EQ(evidence.carried(kReal, kChat), 0);
  }
}

}  // namespace
}  // namespace flexpert::scaling
