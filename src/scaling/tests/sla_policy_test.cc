#include "scaling/sla_policy.h"

#include <cmath>

#include "base/rng.h"
#include "perf/tests/h200_profile.h"
#include "policy_bench.h"

namespace flexpert::scaling {
namespace {

constexpr perf::StepCoefficients kStep{0.008, 40e-6, 0.1e-3, 60e-9};
const perf::EngineModel kEngine(kStep, {128, 2048, 400'000});

SlaOptions engine_options() {
  SlaOptions options;
  options.ttft_s = 0.5;
  options.itl_s = 0.03;
  options.engine = kEngine;
  return options;
}

PolicyBench bench_of(const SlaOptions& options, PoolRole role = PoolRole::kAggregated, std::uint32_t ready = 2) {
  auto policy = make_sla_policy(options, role);
  EXPECT_TRUE(policy.has_value());
  return PolicyBench(std::move(*policy), ready);
}

void expect_traffic(PolicyBench& bench, double requests_per_s, double isl = 500, double osl = 200) {
  bench.next = TrafficForecast{15, requests_per_s, requests_per_s, isl, osl};
  bench.horizon = TrafficForecast{75, requests_per_s, requests_per_s, isl, osl};
  bench.observation.traffic.requests_per_s = MetricSample{requests_per_s, 0};
  bench.observation.traffic.isl = MetricSample{isl, 0};
  bench.observation.traffic.osl = MetricSample{osl, 0};
}

/// What the pool would measure if it were `factor` times slower than the model.
void measure(PolicyBench& bench, double requests_per_s, double instances, double factor) {
  const perf::LoadPoint point = kEngine.at(requests_per_s / instances, {500, 200}, perf::EngineRole::kAggregated, 0.95);
  bench.observation.traffic.ttft_s = MetricSample{factor * point.mean_ttft_s, 0};
  bench.observation.traffic.itl_s = MetricSample{factor * point.mean_itl_s, 0};
}

std::vector<std::string> codes(const std::vector<Reason>& reasons) {
  std::vector<std::string> result;
  for (const Reason& reason : reasons) result.push_back(reason.code);
  return result;
}

TEST(SlaPolicy, TakesTheFewestInstancesThatCarryTheForecast) {
  PolicyBench bench = bench_of(engine_options());
  expect_traffic(bench, 60);
  const Proposal& proposal = bench.propose();
  const double capacity = kEngine.capacity({500, 200}, {0.5, 0.03, 0.95}, perf::EngineRole::kAggregated);
  ASSERT_TRUE(proposal.replicas.has_value());
  EXPECT_LE(60, *proposal.replicas * capacity * 0.85);
  EXPECT_GT(60, (*proposal.replicas - 1) * capacity * 0.85);
  EXPECT_NEAR(*proposal.exact, 60 / (capacity * 0.85), 1e-9);
  EXPECT_TRUE(proposal.may_shrink);
  ASSERT_EQ(codes(proposal.reasons), std::vector<std::string>{"sla_forecast"});
  EXPECT_EQ(proposal.reasons[0].numbers.size(), 11U);
}

TEST(SlaPolicy, PlansForTheUpperQuantileAtTheHorizonAndHoldsForTheNextInterval) {
  PolicyBench bench = bench_of(engine_options(), PoolRole::kAggregated, 8);
  expect_traffic(bench, 20);
  const std::uint32_t calm = *bench.propose().replicas;
  bench.horizon->requests_per_s_upper = 60;
  const std::uint32_t later = *bench.propose().replicas;
  EXPECT_GT(later, calm);
  bench.horizon->requests_per_s_upper = 20;
  bench.next->requests_per_s_upper = 60;
  EXPECT_EQ(*bench.propose().replicas, std::min(later, 8U)) << "what leaves before the next interval is over would be missed";
  EXPECT_EQ(bench.newest.reasons.back().code, "sla_next_interval");
  bench.set(1);
  EXPECT_EQ(*bench.propose().replicas, calm) << "no start helps the next interval";
}

TEST(SlaPolicy, ZeroTrafficGivesTheMinimum) {
  for (const bool known : {true, false}) {
    PolicyBench bench = bench_of(engine_options());
    expect_traffic(bench, 0, known ? 500 : 0, known ? 200 : 0);
    bench.observation.limits.min = 3;
    EXPECT_EQ(bench.propose().replicas, 3U);
    EXPECT_TRUE(bench.newest.may_shrink);
  }
}

TEST(SlaPolicy, MissingOrStaleTrafficNeverShrinks) {
  for (const MetricSample sample : {MetricSample{std::nan(""), 0}, MetricSample{-5, 0}, MetricSample{5, 61}, MetricSample{5,
      std::nan("")}}) {
    PolicyBench bench = bench_of(engine_options(), PoolRole::kAggregated, 6);
    expect_traffic(bench, 5);
    bench.observation.traffic.requests_per_s = sample;
    EXPECT_FALSE(bench.propose().may_shrink);
    ASSERT_FALSE(bench.newest.conditions.empty());
  }
  PolicyBench bench = bench_of(engine_options(), PoolRole::kAggregated, 6);
  expect_traffic(bench, 5);
  bench.observation.traffic.isl->age_s = 1000;
  EXPECT_FALSE(bench.propose().may_shrink);
  EXPECT_EQ(bench.newest.conditions[0].code, "metric_stale");
  bench.next.reset();
  EXPECT_FALSE(bench.propose().may_shrink);
  EXPECT_FALSE(bench.newest.replicas.has_value());
}

TEST(SlaPolicy, MoreLoadAndTighterTargetsNeverNeedFewer) {
  Rng rng(31);
  for (int round = 0; round < 25; ++round) {
    SlaOptions options = engine_options(), tight = options;
    options.ttft_s = 0.2 + rng.uniform();
    options.itl_s = 0.012 + 0.05 * rng.uniform();
    tight.ttft_s = options.ttft_s * (0.5 + 0.5 * rng.uniform());
    tight.itl_s = options.itl_s * (0.5 + 0.5 * rng.uniform());
    const auto role = static_cast<PoolRole>(rng.below(3));
    PolicyBench loose_pool = bench_of(options, role, 0), tight_pool = bench_of(tight, role, 0);
    const double isl = 20 + 2000 * rng.uniform(), osl = 2 + 300 * rng.uniform();
    std::uint32_t before = 0;
    for (double load = 0.1; load < 500; load *= 1.9) {
      expect_traffic(loose_pool, load, isl, osl);
      expect_traffic(tight_pool, load, isl, osl);
      const std::uint32_t now = *loose_pool.propose().replicas;
      EXPECT_GE(now, before) << round << " at " << load;
      EXPECT_GE(*tight_pool.propose().replicas, now) << round << " at " << load;
      before = now;
    }
  }
}

TEST(SlaPolicy, NeverFillsAnInstance) {
  SlaOptions options = engine_options();
  options.ttft_s = options.itl_s = 3600;
  options.utilisation = 1;
  PolicyBench bench = bench_of(options);
  for (double load = 1; load < 1000; load *= 1.3) {
    expect_traffic(bench, load);
    EXPECT_LE(load / *bench.propose().replicas, 0.95 * kEngine.saturation({500, 200}, perf::EngineRole::kAggregated));
  }
}

TEST(SlaPolicy, SlowerThanExpectedNeedsMore) {
  SlaOptions options = engine_options();
  options.learn = false;
  PolicyBench bench = bench_of(options, PoolRole::kAggregated, 8);
  expect_traffic(bench, 60);
  const std::uint32_t before = *bench.propose().replicas;
  measure(bench, 60, 8, 1.6);
  for (int i = 0; i < 30; ++i) bench.propose();
  EXPECT_GT(*bench.newest.replicas, before);
  PolicyBench warming = bench_of(options, PoolRole::kAggregated, 8);
  warming.starting(1);
  expect_traffic(warming, 60);
  measure(warming, 60, 8, 1.6);
  for (int i = 0; i < 30; ++i) warming.propose();
  EXPECT_EQ(*warming.newest.replicas, before) << "latencies of a pool that warms up are not the engine's";
  PolicyBench overloaded = bench_of(options, PoolRole::kAggregated, 3);
  expect_traffic(overloaded, 60);
  overloaded.observation.traffic.ttft_s = MetricSample{30, 0};
  for (int i = 0; i < 30; ++i) overloaded.propose();
  EXPECT_EQ(*overloaded.newest.replicas, before) << "latencies of an overloaded pool are its queue's";
}

TEST(SlaPolicy, AnEngineThatIsSlowerThroughoutIsSizedByItsOwnCapacity) {
  SlaOptions options = engine_options();
  options.learn = false;
  for (const double slower : {1.2, 1.3, 1.6}) {
    const perf::EngineModel real({slower * kStep.fixed, slower * kStep.per_new_token, slower * kStep.per_sequence,
                                  slower * kStep.per_kv_token}, kEngine.limits());
    PolicyBench bench = bench_of(options, PoolRole::kAggregated, 10);
    expect_traffic(bench, 40);
    const perf::LoadPoint point = real.at(4, {500, 200}, perf::EngineRole::kAggregated, 0.95);
    bench.observation.traffic.ttft_s = MetricSample{point.mean_ttft_s, 0};
    bench.observation.traffic.itl_s = MetricSample{point.mean_itl_s, 0};
    for (int i = 0; i < 30; ++i) bench.propose();
    const double needed = 40 / (0.85 * real.capacity({500, 200}, {0.5, 0.03, 0.95}, perf::EngineRole::kAggregated));
    EXPECT_NEAR(*bench.newest.exact / needed, 1, 0.01) << slower;
  }
}

TEST(SlaPolicy, SaysWhenNoCountHoldsTheTargets) {
  SlaOptions options = engine_options();
  options.itl_s = 0.001;
  PolicyBench bench = bench_of(options);
  expect_traffic(bench, 60);
  EXPECT_EQ(codes(bench.propose().conditions), std::vector<std::string>{"target_unreachable"});
  EXPECT_LT(*bench.newest.replicas, 50U);
}

TEST(SlaPolicy, TakesAnEngineModelFromAProfile) {
  SlaOptions options = engine_options();
  options.engine.reset();
  options.profile = *perf::ClassicProfile::create(perf::h200_samples());
  PolicyBench bench = bench_of(options);
  expect_traffic(bench, 40, 3000, 150);
  ASSERT_TRUE(bench.propose().replicas.has_value());
  EXPECT_GT(*bench.newest.replicas, 2U);
  EXPECT_LT(*bench.newest.replicas, 12U);
}

TEST(SlaPolicy, GoesOnBitForBitAfterRestore) {
  Rng rng(8);
  PolicyBench one = bench_of(engine_options(), PoolRole::kAggregated, 4);
  const auto step = [&](Policy* other) {
    expect_traffic(one, 20 + 20 * rng.uniform());
    measure(one, one.next->requests_per_s, 4, 0.8 + 0.6 * rng.uniform());
    const Proposal ours = one.propose();
    if (other == nullptr) return;
    const Proposal theirs = one.propose_with(*other);
    EXPECT_EQ(ours.replicas, theirs.replicas);
    EXPECT_EQ(ours.exact, theirs.exact);
    EXPECT_EQ(ours.reasons, theirs.reasons);
  };
  for (int i = 0; i < 40; ++i) step(nullptr);
  const auto two = *make_sla_policy(engine_options(), PoolRole::kAggregated);
  one.copy_state_to(*two);
  for (int i = 0; i < 40; ++i) step(two.get());
}

TEST(SlaPolicy, ClassicModeIsTheClassicPlan) {
  SlaOptions options;
  options.model = SlaOptions::Model::kClassic;
  options.itl_s = 0.01;
  options.profile = *perf::ClassicProfile::create(perf::h200_samples());
  PolicyBench prefill = bench_of(options, PoolRole::kPrefill), decode = bench_of(options, PoolRole::kDecode);
  expect_traffic(prefill, 90, 3000, 150);
  expect_traffic(decode, 90, 3000, 150);
  EXPECT_EQ(prefill.propose().replicas, 6U);
  EXPECT_EQ(decode.propose().replicas, 3U);
  EXPECT_EQ(prefill.newest.reasons[0].code, "classic_prefill");
}

TEST(SlaPolicy, RefusesAGatewayPool) {
  const auto policy = make_sla_policy(engine_options(), PoolRole::kGateway);
  ASSERT_FALSE(policy.has_value());
  EXPECT_NE(policy.error().message.find("role"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::scaling
