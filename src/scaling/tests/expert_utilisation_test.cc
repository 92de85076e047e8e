#include "scaling/expert_utilisation.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::scaling {
namespace {

constexpr TimePoint kStart{std::chrono::hours(1)};

ExpertUtilisationOptions options_of(double capacity) {
  ExpertUtilisationOptions options;
  options.replica_capacity_rows_per_s = capacity;
  return options;
}

/// A fleet of a few experts whose counters grow at given rates, with a policy that is asked every second.
struct World {
  explicit World(ExpertUtilisationOptions o, std::uint32_t experts) : options(o), geometry{1, experts} {
    loads.at = kStart;
    loads.rows.assign(experts, 0);
    replicas.assign(experts, options.min_replicas);
    observe_loads(state, options, loads);
  }
  /// Lets a second pass; returns the decision if a window closed, and applies it.
  std::optional<UtilisationDecision> second(const std::vector<double>& rates, std::uint64_t tokens = 4096) {
    loads.at += Seconds(1);
    loads.tokens += tokens;
    for (std::size_t i = 0; i < rates.size(); ++i) loads.rows[i] += static_cast<std::uint64_t>(rates[i]);
    const auto window = observe_loads(state, options, loads);
    if (!window) return std::nullopt;
    UtilisationDecision decision = decide_replicas(state, options, geometry, *window, replicas, loads.at);
    for (const Action& action : decision.actions) {
      replicas[geometry.index(action.slot)] = action.to;
      note_change(state, geometry.index(action.slot), loads.at);
      ++changes;
    }
    return decision;
  }

  ExpertUtilisationOptions options;
  ExpertGeometry geometry;
  ExpertUtilisationState state;
  CumulativeLoads loads;
  std::vector<std::uint32_t> replicas;
  int changes = 0;
};

TEST(ExpertUtilisation, DoublesOverHighAndSaysWhy) {
  World world(options_of(100), 2);
  const auto decision = world.second({90, 50});
  ASSERT_TRUE(decision);
  ASSERT_EQ(decision->actions.size(), 1U);
  const Action& action = decision->actions[0];
  EXPECT_EQ(action.kind, ActionKind::kExpertScaleUp);
  EXPECT_EQ(action.slot, (ExpertSlot{0, 0}));
  EXPECT_EQ(action.from, 1U);
  EXPECT_EQ(action.to, 2U);
  EXPECT_EQ(action.reasons[0].code, "utilisation_high");
  EXPECT_EQ(action.reasons[0].numbers[0], (std::pair<std::string, double>("utilisation", 0.9)));
}

TEST(ExpertUtilisation, HalvesUnderLowAndHoldsBetween) {
  World world(options_of(100), 2);
  world.replicas = {4, 4};
  const auto decision = world.second({60, 100});
  ASSERT_EQ(decision->actions.size(), 1U);
  EXPECT_EQ(decision->actions[0].kind, ActionKind::kExpertScaleDown);
  EXPECT_EQ(decision->actions[0].to, 2U);
  EXPECT_EQ(decision->actions[0].reasons[0].code, "utilisation_low");
  EXPECT_EQ(world.replicas, (std::vector<std::uint32_t>{2, 4}));
}

TEST(ExpertUtilisation, CoolDownHoldsASecondChangeAndSaysSo) {
  World world(options_of(100), 1);
  world.second({1000});
  EXPECT_EQ(world.replicas[0], 2U);
  const auto held = world.second({1000});
  EXPECT_TRUE(held->actions.empty());
  ASSERT_EQ(held->holds.size(), 1U);
  EXPECT_EQ(held->holds[0].reason.code, "cooldown");
  for (int i = 0; i < 4; ++i) world.second({1000});
  EXPECT_EQ(world.replicas[0], 4U);
}

TEST(ExpertUtilisation, AtTheMostReplicasItHoldsAndSaysSo) {
  World world(options_of(100), 1);
  world.replicas = {8};
  const auto decision = world.second({10000});
  EXPECT_TRUE(decision->actions.empty());
  ASSERT_EQ(decision->holds.size(), 1U);
  EXPECT_EQ(decision->holds[0].reason.code, "at_max");
}

TEST(ExpertUtilisation, FewTokensCloseNoWindowBeforeTheLongestTime) {
  World world(options_of(100), 1);
  world.replicas = {2};
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(world.second({10}, 10));
  const auto decision = world.second({10}, 10);
  ASSERT_TRUE(decision) << "the longest window has passed";
  ASSERT_EQ(decision->actions.size(), 1U);
  EXPECT_EQ(decision->actions[0].kind, ActionKind::kExpertScaleDown);
  const auto& numbers = decision->actions[0].reasons[0].numbers;
  EXPECT_EQ(numbers.back(), (std::pair<std::string, double>("window_full", 0.0)));
}

TEST(ExpertUtilisation, FewTokensNeverScaleUp) {
  World world(options_of(1), 1);
  std::optional<UtilisationDecision> decision;
  for (int i = 0; i < 5; ++i) decision = world.second({100}, 100);
  ASSERT_TRUE(decision);
  EXPECT_TRUE(decision->actions.empty());
  ASSERT_EQ(decision->holds.size(), 1U);
  EXPECT_EQ(decision->holds[0].reason.code, "few_tokens");
}

TEST(ExpertUtilisation, SlowTrafficScalesUpOnceEnoughTokensCameOverSeveralWindows) {
  World world(options_of(10), 1);
  for (int i = 0; i < 25; ++i) world.second({100}, 100);
  EXPECT_EQ(world.changes, 1) << "2048 tokens are through after 21 s; windows close every 5 s";
}

TEST(ExpertUtilisation, NothingHappensWithoutNewData) {
  World world(options_of(100), 1);
  world.second({1000});
  const ExpertUtilisationState before = world.state;
  EXPECT_FALSE(observe_loads(world.state, world.options, world.loads));
  EXPECT_EQ(world.state.windows, before.windows);
  EXPECT_EQ(world.state.rows_per_s, before.rows_per_s);
}

TEST(ExpertUtilisation, BoundsHoldUnderAnyLoad) {
  Rng rng(7);
  for (int round = 0; round < 200; ++round) {
    ExpertUtilisationOptions options = options_of(1 + rng.uniform() * 100);
    options.min_replicas = 1 + static_cast<std::uint32_t>(rng.below(3));
    options.max_replicas = options.min_replicas + static_cast<std::uint32_t>(rng.below(9));
    options.cooldown = Seconds(rng.below(3));
    World world(options, 4);
    for (std::uint32_t& r : world.replicas) r = static_cast<std::uint32_t>(rng.below(20));
    for (int i = 0; i < 50; ++i) {
      std::vector<double> rates(4);
      for (double& rate : rates) rate = rng.uniform() * rng.uniform() * 2000;
      const auto decision = world.second(rates);
      ASSERT_TRUE(decision);
      for (const std::uint32_t wanted : decision->replicas) {
        ASSERT_GE(wanted, options.min_replicas);
        ASSERT_LE(wanted, options.max_replicas);
      }
      for (const Action& action : decision->actions) {
        ASSERT_TRUE(action.to == action.from * 2 || action.to == (action.from + 1) / 2 || action.to == options.max_replicas ||
                    action.to == options.min_replicas);
      }
    }
  }
}

TEST(ExpertUtilisation, NoisyLoadForADayChangesEachExpertAFewTimesAndNeverBack) {
  Rng rng(11);
  const std::vector<double> mean{10, 19, 21, 40, 79, 81, 100, 160, 200, 320, 400, 640};
  World world(options_of(100), static_cast<std::uint32_t>(mean.size()));
  std::vector<std::uint32_t> direction(mean.size(), 0);
  for (int second = 0; second < 86'400; ++second) {
    std::vector<double> rates(mean.size());
    for (std::size_t i = 0; i < mean.size(); ++i) rates[i] = mean[i] * (0.9 + 0.2 * rng.uniform());
    const auto decision = world.second(rates);
    for (const Action& action : decision->actions) {
      const std::uint32_t way = action.kind == ActionKind::kExpertScaleUp ? 1 : 2;
      ASSERT_TRUE(direction[action.slot.expert] == 0 || direction[action.slot.expert] == way) << "expert " << action.slot.expert << " flaps";
      direction[action.slot.expert] = way;
    }
  }
  EXPECT_LE(world.changes, 3 * static_cast<int>(mean.size()));
  EXPECT_GT(world.changes, 0);
}

TEST(ExpertUtilisation, MoreLoadNeverMeansFewerReplicas) {
  Rng rng(3);
  for (int round = 0; round < 2000; ++round) {
    World low(options_of(50), 1);
    low.replicas = {1 + static_cast<std::uint32_t>(rng.below(8))};
    World high = low;
    const double rate = rng.uniform() * 1000;
    low.second({rate});
    high.second({rate * (1 + rng.uniform())});
    ASSERT_GE(high.replicas[0], low.replicas[0]) << "at " << rate << " rows/s";
  }
}

TEST(ExpertUtilisation, ValidationRefusesWhatWouldFlapOrMakesNoSense) {
  EXPECT_TRUE(validate(options_of(1)));
  const auto refused = [](auto change) {
    ExpertUtilisationOptions options = options_of(1);
    change(options);
    return !validate(options);
  };
  EXPECT_TRUE(refused([](auto& o) { o.low = 0.4; }));
  EXPECT_TRUE(refused([](auto& o) { o.replica_capacity_rows_per_s = 0; }));
  EXPECT_TRUE(refused([](auto& o) { o.min_replicas = 0; }));
  EXPECT_TRUE(refused([](auto& o) { o.min_replicas = 9; }));
  EXPECT_TRUE(refused([](auto& o) { o.smoothing = 0; }));
  EXPECT_TRUE(refused([](auto& o) { o.cooldown = Seconds(-1); }));
}

TEST(LoadAccumulator, AddsServersAndSurvivesRestarts) {
  LoadAccumulator loads(2);
  EXPECT_TRUE(loads.add("a", kStart, 1000, {500, 500})) << "where it stood when we first saw it";
  EXPECT_TRUE(loads.add("b", kStart, 0, {0, 0}));
  EXPECT_EQ(loads.total().tokens, 0U);
  EXPECT_TRUE(loads.add("a", kStart + Seconds(1), 1012, {506, 506}));
  EXPECT_TRUE(loads.add("b", kStart + Seconds(1), 4, {1, 3}));
  EXPECT_EQ(loads.total().tokens, 16U);
  EXPECT_TRUE(loads.add("a", kStart + Seconds(2), 3, {2, 1})) << "restarted: counts from zero";
  EXPECT_EQ(loads.total().tokens, 19U);
  EXPECT_EQ(loads.total().rows, (std::vector<std::uint64_t>{9, 10}));
  EXPECT_FALSE(loads.add("a", kStart, 3, {2}));
}

}  // namespace
}  // namespace flexpert::scaling
